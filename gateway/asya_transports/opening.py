"""Creates the transport for given settings, importing only that one."""

from importlib import import_module

from asya_transports.description import TransportDescription, TransportSettings, TransportSettingsError
from asya_transports.known import describe
from asya_transports.port import Transport


def open_transport(settings: TransportSettings, namespace: str) -> Transport:
    """The transport, not yet connected: it connects at its first use and reconnects by itself.

    Raises TransportSettingsError if the driver is not installed.
    """
    description = describe(settings.name)
    _require_drivers(description)
    module, _, name = description.transport.partition(":")
    transport: Transport = getattr(import_module(module), name)(settings, namespace)
    return transport


def _require_drivers(description: TransportDescription) -> None:
    for driver in description.drivers:
        try:
            import_module(driver)
        except ModuleNotFoundError as error:
            if driver != error.name and not driver.startswith(f"{error.name}."):
                raise
            wanted = f"pip install 'asya[{description.extra}]'"
            raise TransportSettingsError(f"ASYA_TRANSPORT={description.name} needs an extra: {wanted}") from error
