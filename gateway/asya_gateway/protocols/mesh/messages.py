"""Bodies of the mesh routes as the contract's messages."""

from typing import TypeVar

from pydantic import ValidationError

from asya_crds.message import Message, mistake_in
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.http.fields import Body

M = TypeVar("M", bound=Message)


def read(model: type[M], body: Body) -> M:
    """The message of a body. Raises InvalidInput naming the field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        mistake = mistake_in(error, model)
        raise InvalidInput(str(mistake), field=mistake.field) from None
