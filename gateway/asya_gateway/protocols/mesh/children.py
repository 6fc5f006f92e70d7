"""Decoding announcements of a fan-out's children."""

from asya_crds.mesh_messages import ChildMessage
from asya_crds.naming import check_own_id
from asya_gateway.domain.errors import Conflict, InvalidInput
from asya_gateway.domain.reports import ChildAnnouncement
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.messages import read
from asya_gateway.protocols.mesh.hops import read_route, task_id_of


def decode_child(body: Body) -> ChildAnnouncement:
    """{id, parent_id, prev, curr, next, ends_itself?}, or the older {id, parent_id, actors, current}.

    Raises InvalidInput naming the field, Conflict for a child of itself.
    """
    said = read(ChildMessage, body)
    child, parent = _own_id(task_id_of(said.id)), task_id_of(said.parent_id)
    if child == parent:
        raise Conflict("expected another id than the child's own", field="parent_id")
    return ChildAnnouncement(child, parent, read_route(body), said.ends_itself)


def _own_id(child: str) -> str:
    try:
        return check_own_id(child)
    except ValueError as error:
        raise InvalidInput(str(error), field="id") from None
