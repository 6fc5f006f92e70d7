"""`asya serve`: the gateway."""


def serve() -> None:
    """Run the gateway until SIGTERM or SIGINT, then drain. Settings come from ASYA_* variables (docs/settings.md)."""
    from asya_cli.environment import read_settings

    settings = read_settings()

    import uvloop

    from asya_cli.errors import UsageProblem, cannot_listen
    from asya_crds.allocator import return_large_blocks
    from asya_crds.listening import CannotListen
    from asya_gateway.composition.issuers import InvalidConfiguration
    from asya_gateway.composition.observing import start_logs
    from asya_gateway.composition.program import run
    from asya_gateway.exposition.otel import TracingUnavailable
    from asya_gateway.storage.namespace import NamespaceTaken

    start_logs(settings)
    _collect_rarely()
    return_large_blocks()
    try:
        uvloop.run(run(settings))
    except (TracingUnavailable, NamespaceTaken, InvalidConfiguration) as problem:
        raise UsageProblem(str(problem)) from problem
    except CannotListen as problem:
        raise cannot_listen(problem) from problem


def _collect_rarely() -> None:
    """Run the garbage collector after 20,000 new objects instead of 700. Hundreds of concurrent requests hold some
    thousands of objects, so the default would walk live objects again and again, for 4 % of the CPU. Cyclic garbage
    then amounts to a few megabytes at most."""
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
