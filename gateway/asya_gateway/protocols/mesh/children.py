"""Decoding announcements of a fan-out's children."""

from asya_gateway.domain.errors import Conflict, InvalidInput
from asya_gateway.domain.reports import ChildAnnouncement
from asya_gateway.protocols.http.fields import Body, identifier
from asya_gateway.protocols.mesh.hops import read_route, task_id_of


def decode_child(body: Body) -> ChildAnnouncement:
    """{id, parent_id, prev, curr, next, ends_itself?}, or the older {id, parent_id, actors, current}.

    Raises InvalidInput naming the field, Conflict for a child of itself.
    """
    child, parent = task_id_of(identifier(body, "id")), task_id_of(identifier(body, "parent_id"))
    if child == parent:
        raise Conflict("expected another id than the child's own", field="parent_id")
    ends_itself = body.get("ends_itself", False)
    if not isinstance(ends_itself, bool):
        raise InvalidInput("expected true or false", field="ends_itself")
    return ChildAnnouncement(child, parent, read_route(body), ends_itself)
