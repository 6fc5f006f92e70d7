"""Environment variables of an actor's containers: the operator's, the user's, and which take precedence."""

from collections.abc import Mapping, Sequence

from asya_crds import jsontext
from asya_crds.async_actor import AsyncActorSpec, EnvVar, StateProxy
from asya_crds.naming import SINK, SUMP
from asya_operator.domain.resources.common import ActorResource, Document, Surroundings
from asya_transports.known import describe

SOCKET_FOLDER = "/var/run/asya"
SHUTDOWN_MARGIN = 15
"""Seconds of a grace period in which a worker returns messages that it could not finish."""
STATE_FOLDER = "/var/run/asya/state"
"""Folder of the state proxies' sockets, `<name>.sock`."""


def worker_environment(actor: ActorResource, around: Surroundings) -> list[Document]:
    """The environment of our worker."""
    return _one_a_name(_users(actor), _workers(actor, around))


def runtime_environment(actor: ActorResource) -> list[Document]:
    """The environment of the runtime script, which a foreign sidecar calls."""
    return _one_a_name(_users(actor), _runtimes(actor))


def sidecar_environment(actor: ActorResource, around: Surroundings) -> list[Document]:
    """The environment of a foreign sidecar, with the variables that all its versions read."""
    return _one_a_name(_sidecars_own(actor), _sidecars(actor, around))


def proxy_environment(proxy: StateProxy) -> list[Document]:
    """The environment of a state proxy's connector."""
    return _one_a_name(_plain(proxy.connector.env), _proxys(proxy))


def overruled(actor: ActorResource, around: Surroundings) -> list[str]:
    """Notes on variables that the user sets but the operator overrides."""
    foreign = actor.spec.foreign_sidecar is not None
    pairs = [("spec.env and spec.secretRefs", _users(actor), _runtimes(actor) if foreign else _workers(actor, around))]
    if foreign:
        pairs.append(("spec.sidecar.env", _sidecars_own(actor), _sidecars(actor, around)))
    for proxy in actor.spec.state_proxy:
        where = f"spec.stateProxy.{proxy.name}.connector.env"
        pairs.append((where, _plain(proxy.connector.env), _proxys(proxy)))
    found = [(where, sorted(_names(theirs) & _names(ours))) for where, theirs, ours in pairs]
    return [f"{where}: the operator sets {', '.join(names)} itself" for where, names in found if names]


def _one_a_name(theirs: Sequence[Document], ours: Sequence[Document]) -> list[Document]:
    """Each name once, because the API server refuses duplicates. Ours override the user's; of the user's, the later one
    wins."""
    last = {item["name"]: item for item in theirs}
    return [*(item for name, item in last.items() if name not in _names(ours)), *ours]


def _names(env: Sequence[Document]) -> set[str]:
    return {str(item["name"]) for item in env}


def _environment(*parts: Mapping[str, str | None]) -> list[Document]:
    """`env` entries; those without a value are left out."""
    return [{"name": name, "value": value} for part in parts for name, value in part.items() if value is not None]


def _plain(env: Sequence[EnvVar]) -> list[Document]:
    return [item.model_dump(by_alias=True, exclude_none=True) for item in env]


def _users(actor: ActorResource) -> list[Document]:
    secret = [
        {"name": key.env_var, "valueFrom": {"secretKeyRef": {"name": ref.secret_name, "key": key.key}}}
        for ref in actor.spec.secret_refs
        for key in ref.keys
    ]
    return [*_plain(actor.spec.env), *secret]


def _sidecars_own(actor: ActorResource) -> list[Document]:
    return _plain(actor.spec.sidecar.env) if actor.spec.sidecar else []


def _workers(actor: ActorResource, around: Surroundings) -> list[Document]:
    traces = _traces(actor)
    return _environment(
        _identity(actor, around),
        {"ASYA_HANDLER": None if actor.crew else actor.spec.handler, "ASYA_GATEWAY_URL": around.mesh_url},
        {"ASYA_OTEL_ENABLED": "true" if traces else None, "OTEL_EXPORTER_OTLP_ENDPOINT": traces},
        {"ASYA_ACTOR_SHUTDOWN_TIMEOUT": _shutdown_timeout(actor.spec)},
        _state_mounts(actor.spec),
        _resiliency(actor.spec),
    )


def _shutdown_timeout(spec: AsyncActorSpec) -> str | None:
    """How long running messages may continue. The rest of the grace period is for returning them."""
    grace = spec.termination_grace_period_seconds
    return None if grace is None else f"{grace - min(SHUTDOWN_MARGIN, grace / 2):g}s"


def _runtimes(actor: ActorResource) -> list[Document]:
    contract = {
        "ASYA_HANDLER": actor.spec.handler,
        "ASYA_SOCKET_DIR": SOCKET_FOLDER,
        "ASYA_ENABLE_VALIDATION": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": _traces(actor),
    }
    return _environment(contract, _state_mounts(actor.spec))


def _sidecars(actor: ActorResource, around: Surroundings) -> list[Document]:
    contract = {
        "ASYA_GATEWAY_URL": around.mesh_url,
        "ASYA_SOCKET_DIR": SOCKET_FOLDER,
        "ASYA_IS_END_ACTOR": "true" if actor.name in (SINK, SUMP) else None,
        "OTEL_EXPORTER_OTLP_ENDPOINT": _traces(actor),
    }
    return _environment(_identity(actor, around), contract, _resiliency(actor.spec), _retries(actor.spec))


def _proxys(proxy: StateProxy) -> list[Document]:
    socket = f"{STATE_FOLDER}/{proxy.name}.sock"
    return _environment({"ASYA_STATE_PROXY_NAME": proxy.name, "CONNECTOR_SOCKET": socket})


def _identity(actor: ActorResource, around: Surroundings) -> dict[str, str | None]:
    return {
        "ASYA_ACTOR_NAME": actor.name,
        "ASYA_NAMESPACE": around.namespace,
        "ASYA_TRANSPORT": around.transport,
        **{name: around.variables.get(name) for name in describe(around.transport).shared},
    }


def _traces(actor: ActorResource) -> str | None:
    return actor.spec.tracing.endpoint if actor.spec.tracing else None


def _state_mounts(spec: AsyncActorSpec) -> dict[str, str | None]:
    mounts = ";".join(f"{proxy.name}:{proxy.mount.path}:write={proxy.write_mode}" for proxy in spec.state_proxy)
    return {"ASYA_STATE_PROXY_MOUNTS": mounts or None}


def _resiliency(spec: AsyncActorSpec) -> dict[str, str | None]:
    """The variables for the resiliency block, as worker and sidecars read them."""
    block = spec.resiliency
    if block is None:
        return {}
    policies = {name: policy.model_dump(by_alias=True, exclude_unset=True) for name, policy in block.policies.items()}
    rules = [rule.model_dump(by_alias=True, exclude_unset=True) for rule in block.rules]
    return {
        "ASYA_RESILIENCY_ACTOR_TIMEOUT": block.actor_timeout,
        "ASYA_RESILIENCY_POLICIES": jsontext.spaced(policies, ascii_only=True) if policies else None,
        "ASYA_RESILIENCY_RULES": jsontext.spaced(rules, ascii_only=True) if rules else None,
    }


def _retries(spec: AsyncActorSpec) -> dict[str, str | None]:
    """The policy `default` in the variables of older sidecars, which have no policies."""
    policy = spec.resiliency.policies.get("default") if spec.resiliency else None
    if policy is None:
        return {}
    return {
        "ASYA_RESILIENCY_RETRY_POLICY": policy.backoff,
        "ASYA_RESILIENCY_RETRY_MAX_ATTEMPTS": None if policy.max_attempts is None else str(policy.max_attempts),
        "ASYA_RESILIENCY_RETRY_INITIAL_INTERVAL": policy.initial_delay,
        "ASYA_RESILIENCY_RETRY_MAX_INTERVAL": policy.max_interval,
        "ASYA_RESILIENCY_RETRY_JITTER": None if policy.jitter is None else str(policy.jitter).lower(),
    }
