"""`asya serve`: the gateway."""


def serve() -> None:
    """Run the gateway until SIGTERM or SIGINT, then drain. Settings come from ASYA_* variables (docs/settings.md)."""
    from asya_cli.environment import read_settings

    settings = read_settings()

    import uvloop

    from asya_cli.errors import UsageProblem
    from asya_gateway.observing import start_logs
    from asya_gateway.program import run
    from asya_gateway.telemetry.otel import TracingUnavailable

    start_logs(settings)
    try:
        uvloop.run(run(settings))
    except TracingUnavailable as missing:
        raise UsageProblem(str(missing)) from missing
