"""Every setting of the gateway: its variable, default and reason. Read once at start and passed down."""

from asya_gateway.settings.gateway import MIB, Hosts, LogLevel, Mode, Origins, Settings

__all__ = ["MIB", "Hosts", "LogLevel", "Mode", "Origins", "Settings"]
