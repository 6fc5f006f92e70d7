"""Typed keys of the objects in the application. The composition root sets them."""

from collections.abc import Callable

from aiohttp.web import AppKey

from asya_crds.flows_json import FlowsJson
from asya_crds.offloading import Offload
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.registry import RegistryControl
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.held_requests import HeldRequests
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.sse import Streams
from asya_gateway.settings import Settings

SETTINGS = AppKey("SETTINGS", Settings)
TASKS = AppKey("TASKS", Tasks)
FLOWS = AppKey("FLOWS", FlowRegistry)
STREAMS = AppKey("STREAMS", Streams)
REGISTRY: AppKey[RegistryControl] = AppKey("REGISTRY")
FLOWS_REPORT: AppKey[Callable[[], FlowsJson]] = AppKey("FLOWS_REPORT")
BUDGET = AppKey("BUDGET", Budget)
SLOW_REPORTS: AppKey[list[object]] = AppKey("SLOW_REPORTS")
"""Reports whose bodies arrive slowly, the one that has been slow for longest first (arriving.py)."""
HELD = AppKey("HELD", HeldRequests)
OFFLOAD = AppKey("OFFLOAD", Offload)
READINESS = AppKey("READINESS", Readiness)
