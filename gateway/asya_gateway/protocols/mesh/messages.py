"""Bodies of the mesh routes as the contract's messages."""

from typing import TypeVar

from asya_crds import mesh_messages
from asya_crds.mesh_messages import InvalidMessage, Message
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.http.fields import Body

M = TypeVar("M", bound=Message)


def read(model: type[M], body: Body) -> M:
    """The message of a body. Raises InvalidInput naming the field."""
    try:
        return mesh_messages.read(model, body)
    except InvalidMessage as error:
        raise InvalidInput(str(error), field=error.field) from None
