"""`asya serve`: the gateway."""


def serve() -> None:
    """Run the gateway until SIGTERM or SIGINT, then drain. Settings come from ASYA_* variables (docs/settings.md)."""
    from asya_cli.environment import read_settings

    settings = read_settings()

    import asyncio

    from asya_gateway.program import run

    asyncio.run(run(settings))
