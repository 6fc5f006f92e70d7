"""`asya operator`: runs the operator with settings from the environment (docs/settings.md)."""

import os
import sys


def operator() -> None:
    """Run the operator. It computes which flows are exposed, pushes them to mesh, and runs actors."""
    from asya_cli.errors import CliError, ExitCode, UsageProblem, cannot_listen
    from asya_crds.listening import CannotListen
    from asya_crds.setting_types import SettingsError
    from asya_transports.description import TransportSettingsError

    try:
        from asya_operator.app import main
        from asya_operator.cluster.connection import NoCluster
        from asya_operator.settings import operator_settings
    except ModuleNotFoundError as error:
        if error.name not in ("kopf", "kubernetes_asyncio", "jsonschema_rs"):
            raise
        raise UsageProblem("the operator needs its extra: pip install 'asya[operator]'") from None
    try:
        settings = operator_settings()
    except SettingsError as error:
        raise UsageProblem(str(error)) from None
    try:
        code = main(settings)
    except TransportSettingsError as error:
        raise UsageProblem(str(error)) from None
    except CannotListen as error:
        raise cannot_listen(error) from None
    except NoCluster as error:
        raise CliError(f"no cluster: {error}", ExitCode.UNREACHABLE) from None
    sys.stderr.flush()
    # A watch may still be open in kopf's thread. The lease is already released, so nothing is lost by not waiting.
    os._exit(code)
