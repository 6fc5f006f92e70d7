"""The gateway's settings from the environment, with errors that name the variables."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asya_cli.errors import UsageProblem
from asya_crds.setting_types import explained

if TYPE_CHECKING:
    from asya_gateway.settings import Settings


def read_settings(environment: Mapping[str, str] = os.environ, **given: Any) -> "Settings":
    """The settings; `given` ones override the environment.

    Raises UsageProblem naming every wrong variable and what was expected.
    """
    from pydantic import ValidationError

    from asya_gateway.settings import Mode, Settings
    from asya_transports.description import TransportSettingsError

    modes = ", ".join(Mode)
    mode = given.get("gateway_mode", environment.get("ASYA_GATEWAY_MODE"))
    if mode not in list(Mode):
        found = "it is not set" if not mode else f"not {str(mode)!r}"
        raise UsageProblem(f"ASYA_GATEWAY_MODE: expected one of {modes}; {found}")
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise UsageProblem(explained(error, Settings)) from None
    if not settings.database_url:
        raise UsageProblem(
            "ASYA_DATABASE_URL: expected a PostgreSQL URL, postgresql://user:password@host:5432/name; it is not set"
        )
    try:
        _ = settings.queues
    except TransportSettingsError as error:
        raise UsageProblem(str(error)) from None
    return settings
