"""Typed keys of the objects in the application. The composition root sets them."""

from collections.abc import Callable

from aiohttp.web import AppKey

from asya_crds.flows_json import FlowsJson
from asya_crds.offloading import Offload
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.catalog import Catalog
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.registry import RegistryControl
from asya_gateway.domain.sealing import Sealing
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.held_requests import HeldRequests
from asya_gateway.protocols.http.limiter import Limiter
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.sse import Streams
from asya_gateway.settings import Settings

LIMITER = AppKey("LIMITER", Limiter)
ADMISSION = AppKey("ADMISSION", Admission)
SETTINGS = AppKey("SETTINGS", Settings)
TASKS = AppKey("TASKS", Tasks)
FLOWS = AppKey("FLOWS", FlowRegistry)
CATALOG = AppKey("CATALOG", Catalog)
STREAMS = AppKey("STREAMS", Streams)
REGISTRY: AppKey[RegistryControl] = AppKey("REGISTRY")
FLOWS_REPORT: AppKey[Callable[[Caller], FlowsJson]] = AppKey("FLOWS_REPORT")
BUDGET = AppKey("BUDGET", Budget)
SLOW_REPORTS: AppKey[list[object]] = AppKey("SLOW_REPORTS")
"""Reports whose bodies arrive slowly, the one that has been slow for longest first (arriving.py)."""
HELD = AppKey("HELD", HeldRequests)
OFFLOAD = AppKey("OFFLOAD", Offload)
SEALING: AppKey[Sealing] = AppKey("SEALING")
READINESS = AppKey("READINESS", Readiness)
