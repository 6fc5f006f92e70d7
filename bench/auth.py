"""What telling callers apart costs: CPU of a call with each kind of credential, compared with an open gateway."""

import contextlib
import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from typing_extensions import override

from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Plan, run_load
from bench.rows import CALL
from bench.runs import Runs
from bench.stage import CONNECTIONS, Stage

MOST = Target(1.15, most=True)
"""The CPU of the gateway for a call, compared with no authentication."""
COLD = 12_000
"""Tokens of a cold run, more than the gateway remembers."""
SECRET = "bench-secret-of-thirty-two-bytes"
OWN = "http://127.0.0.1:9"
ISSUER = "https://issuer.bench.example"
AUDIENCE = "bench"


@dataclass(frozen=True, slots=True)
class Credential:
    """A kind of credential: the gateway's variables, and a head's line for each of many callers."""

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    lines: Sequence[str] = ()
    cold: Sequence[str] = ()


def auth(stage: Stage) -> list[Figure]:
    """Warm: one good credential, remembered. Cold: more tokens than are remembered, so that each is verified."""
    with _issuer() as (rsa_key, ec_key, jwks_url):
        kinds = [Credential("open"), _api_key(), *_tokens(stage, rsa_key, ec_key, jwks_url)]
        return _figures(stage, kinds)


def _figures(stage: Stage, kinds: Sequence[Credential]) -> list[Figure]:
    cpu: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    cold: dict[str, list[float]] = {kind.name: [] for kind in kinds if kind.cold}
    problems: list[str] = []
    for number in range(stage.effort.rounds):
        # Each round in the opposite order of the one before: a machine that becomes slower meanwhile affects all alike.
        ordered = kinds[:: -1 if number % 2 else 1]
        for kind in ordered:
            cpu[kind.name].append(_cpu_of_a_call(stage, kind.variables, kind.lines, problems))
        for kind in ordered:
            if kind.cold:
                cold[kind.name].append(_cpu_of_a_call(stage, kind.variables, kind.cold, problems))
    opened = cpu.pop("open")
    return [
        *(_figure(f"call with {name}, CPU", values, opened, problems, MOST) for name, values in cpu.items()),
        *(_figure(f"call with {name} seen first, CPU", values, opened, problems) for name, values in cold.items()),
    ]


def _figure(
    name: str, values: Sequence[float], others: Sequence[float], problems: Sequence[str], target: Target | None = None
) -> Figure:
    return Figure(
        name=name,
        value=median(values),
        unit="us",
        peer="open gateway",
        peer_value=median(others),
        ratio=paired_ratio(values, others),
        target=target,
        broken="; ".join(problems),
    )


def _cpu_of_a_call(stage: Stage, variables: dict[str, str], lines: Sequence[str], problems: list[str]) -> float:
    """Microseconds of the gateway's CPU."""
    runs = Runs()
    effort = stage.effort
    calls = [("/tools/call", CALL)]
    with (
        stage.database() as url,
        stage.gateway("api", url, **variables) as gateway,
        runs.watching(stage, gateway) as watched,
    ):
        plan = Plan(gateway.port, calls, CONNECTIONS, effort.seconds, effort.warm_up, headers=lines)
        watched.outcome = run_load(plan)
    problems += runs.problems
    return runs.gateway_cpu[0]


def _api_key() -> Credential:
    return Credential("a key", {"ASYA_MCP_API_KEY": "bench-key"}, ["Authorization: Bearer bench-key"])


def _tokens(
    stage: Stage, rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey, jwks_url: str
) -> Iterator[Credential]:
    own = {
        "ASYA_MCP_OAUTH_ENABLED": "true",
        "ASYA_MCP_OAUTH_ISSUER": OWN,
        "ASYA_MCP_OAUTH_SECRET": SECRET,
    }
    others = {
        "ASYA_A2A_JWT_JWKS_URL": jwks_url,
        "ASYA_A2A_JWT_ISSUER": ISSUER,
        "ASYA_A2A_JWT_AUDIENCE": AUDIENCE,
    }
    signed = functools.partial(_signed, cold=0 if stage.effort.quick else COLD)
    yield Credential("an HS256 token", own, *signed(_own_claims(), SECRET, "HS256", None))
    yield Credential("an RS256 token", others, *signed(_claims(), rsa_key, "RS256", "rsa"))
    yield Credential("an ES256 token", others, *signed(_claims(), ec_key, "ES256", "ec"))


def _own_claims() -> dict[str, Any]:
    return {"iss": OWN, "aud": OWN, "sub": "bench-client", "scope": "mcp:invoke mcp:read", "jti": "bench.0"}


def _claims() -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "bench", "scope": "mcp:invoke", "jti": "bench.0"}


def _signed(claims: dict[str, Any], key: Any, algorithm: str, kid: str | None, *, cold: int) -> tuple[list[str], ...]:
    now = int(time.time())
    headers = {"typ": "JWT"} | ({"kid": kid} if kid else {})

    def line(number: int) -> str:
        fields = {**claims, "jti": f"bench.{number}", "iat": now, "exp": now + 3_600}
        return f"Authorization: Bearer {jwt.encode(fields, key, algorithm, headers)}"

    return [line(0)], [line(number) for number in range(1, cold + 1)]


@contextlib.contextmanager
def _issuer() -> Iterator[tuple[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, str]]:
    """Keys, and the URL of their set."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    keys = [
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key.public_key())) | {"kid": "rsa", "alg": "RS256"},
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec_key.public_key())) | {"kid": "ec", "alg": "ES256"},
    ]
    document = json.dumps({"keys": keys}).encode()

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        @override
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield rsa_key, ec_key, f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            serving.join()
