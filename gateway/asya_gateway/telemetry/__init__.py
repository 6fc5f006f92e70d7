"""The interface for telemetry, without implementations. Standard library only."""
