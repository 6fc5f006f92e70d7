"""Reading query parameters. Each error names its parameter."""

from aiohttp import web

from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.http.fields import checked_id, unknown


def only_parameters(request: web.BaseRequest, *known: str) -> None:
    """Refuse an unknown parameter, and one that occurs twice. Raises InvalidInput naming it."""
    if "?" not in request.raw_path:
        return
    for name in request.query:
        if name not in known:
            raise unknown("parameter", name, known)
        if len(request.query.getall(name)) > 1:
            raise InvalidInput("expected the parameter once", field=name)


def bounded_integer(request: web.BaseRequest, name: str, *, default: int, least: int, most: int) -> int:
    """An integer within bounds, `default` if it is absent. Raises InvalidInput."""
    text = request.query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
        return int(text)
    raise InvalidInput(f"expected an integer from {least} to {most}", field=name)


def optional_status(request: web.BaseRequest) -> TaskStatus | None:
    """The task status to filter by. Raises InvalidInput."""
    text = request.query.get("status")
    if text is None:
        return None
    try:
        return TaskStatus(text)
    except ValueError:
        raise InvalidInput(f"expected one of {', '.join(TaskStatus)}", field="status") from None


def optional_id(request: web.BaseRequest, name: str) -> str | None:
    """An identifier to filter by. Raises InvalidInput."""
    text = request.query.get(name)
    return None if text is None else checked_id(text, name)
