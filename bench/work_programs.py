"""The processes of a deployment that finishes work, and the CPU that each kind of them uses."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.stage import Stage, answers, cpu_of_family
from servers.commits import ROOT
from servers.ports import free_port
from servers.processes import spawn, stop_process, wait_until

FLOWS = """\
flows:
- name: one
  description: One actor
  entrypoint: bench-first
  timeout: 1h
  mcp: {}
- name: two
  description: Two actors
  entrypoint: bench-first
  route_next: [bench-second]
  timeout: 1h
  mcp: {}
- name: three
  description: Three actors
  entrypoint: bench-first
  route_next: [bench-second, bench-third]
  timeout: 1h
  mcp: {}
"""


@dataclass(slots=True)
class Deployment:
    """Running processes by kind: the pids of each."""

    stage: Stage
    pids: dict[str, list[int]] = field(default_factory=dict)
    mesh_url: str = ""

    def cpu(self) -> dict[str, float]:
        """CPU seconds used so far by each kind of process, and by each server."""
        ours = {kind: sum(map(cpu_of_family, pids)) for kind, pids in self.pids.items()}
        return ours | self.stage.servers_cpu()


@dataclass(frozen=True, slots=True)
class Place:
    """Where tasks and messages of a run are: a database, and the variables that name the queues."""

    database_url: str
    variables: Mapping[str, str]


@contextlib.contextmanager
def gateways(stage: Stage, place: Place, deployment: Deployment, *modes: str) -> Iterator[int]:
    """Gateways of these modes, the last of which takes calls on the port that is returned; the first has the mesh
    routes."""
    flows = stage.folder / "work-flows.yaml"
    flows.write_text(FLOWS)
    port = free_port()
    deployment.mesh_url = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        for mode in modes:
            variables = {"ASYA_CONFIG_PATH": str(flows), "ASYA_MESH_URL": deployment.mesh_url, **place.variables}
            if mode == modes[0]:
                variables["ASYA_GATEWAY_PORT"] = str(port)
            gateway = stack.enter_context(stage.gateway(mode, place.database_url, **variables))
            deployment.pids.setdefault(mode, []).append(gateway.process.pid)
            port = gateway.port
        yield port


@contextlib.contextmanager
def workers(
    stage: Stage, place: Place, deployment: Deployment, actors: Mapping[str, str], settings: Mapping[str, str]
) -> Iterator[None]:
    """The crew and then a worker for each actor with its handler, as `asya actor` starts them.

    The workers start when the crew consumes: envelopes for a queue that nobody has declared yet would wait for it, and
    the logs of their tasks would say so.
    """
    common = {
        "ASYA_DATABASE_URL": place.database_url,
        "ASYA_GATEWAY_URL": deployment.mesh_url,
        "ASYA_METRICS_PORT": "-1",
        "ASYA_LOG_LEVEL": "error",
        **place.variables,
    }
    probes = free_port()
    answering = {"ASYA_METRICS_HOST": "127.0.0.1", "ASYA_METRICS_PORT": str(probes)}
    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(_running(stage, "crew", ["actor", "--crew"], common | answering))
        deployment.pids.setdefault("crew", []).append(pid)
        wait_until(lambda: answers(f"http://127.0.0.1:{probes}/health/ready"), 30, "the crew did not consume")
        for actor, handler in actors.items():
            own = {"ASYA_ACTOR_NAME": actor, "ASYA_HANDLER": f"bench.work_handlers.{handler}", **settings}
            pid = stack.enter_context(_running(stage, actor, ["actor"], common | own))
            deployment.pids.setdefault("worker", []).append(pid)
        yield


@contextlib.contextmanager
def _running(stage: Stage, name: str, words: list[str], variables: Mapping[str, str]) -> Iterator[int]:
    log_path = stage.folder / f"{name}-{free_port()}.log"
    environment = {**stage.environment(ROOT), **variables}
    with log_path.open("wb") as log:
        process = spawn([sys.executable, "-m", "asya_cli", *words], env=environment, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        stop_process(process, 15, 15)
        stage.show(log_path, name)
