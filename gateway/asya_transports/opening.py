"""One function that makes the transport which the settings describe, importing only that one."""

from importlib import import_module

from asya_transports.port import Transport
from asya_transports.settings import PostgresSettings, RabbitSettings, SettingsError, TransportSettings


def open_transport(settings: TransportSettings, namespace: str) -> Transport:
    """The transport, not yet connected: it connects with its first use and reconnects by itself.

    Raises SettingsError where the driver is not installed.
    """
    match settings:
        case PostgresSettings():
            from asya_transports.postgres.transport import PostgresTransport

            return PostgresTransport(settings, namespace)
        case RabbitSettings():
            _require("aiormq", "rabbitmq")
            from asya_transports.rabbitmq.transport import RabbitTransport

            return RabbitTransport(settings, namespace)


def _require(module: str, extra: str) -> None:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise SettingsError(f"ASYA_TRANSPORT needs the extra: pip install 'asya[{extra}]'") from error
