"""Prometheus metrics of worker and crew (docs/how-to/handlers.md lists them)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

MESSAGES = Counter(
    "asya_actor_messages",
    "Messages by outcome: completed, ended, retried, rerouted, failed, repeated, busy, dropped, paused, given_back, "
    "sent_again.",
    ["actor", "outcome"],
    registry=REGISTRY,
)
HANDLER_SECONDS = Histogram(
    "asya_actor_handler_seconds",
    "Duration of a call of the handler.",
    ["actor"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900),
    registry=REGISTRY,
)
IN_WORK = Gauge(
    "asya_actor_in_work",
    "Messages that are being processed.",
    ["actor"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
REPORT_RETRIES = Counter(
    "asya_actor_report_retries", "Requests that mesh did not accept at the first attempt.", registry=REGISTRY
)
PUBLISH_RETRIES = Counter(
    "asya_actor_publish_retries",
    "Publishes that the queue system did not accept at the first attempt.",
    registry=REGISTRY,
)
LIVE_SENT = Counter("asya_actor_live_events", "FLY events that mesh accepted.", ["actor"], registry=REGISTRY)
LIVE_LOST = Counter(
    "asya_actor_live_events_lost",
    "FLY events dropped because mesh did not accept them in time.",
    ["actor"],
    registry=REGISTRY,
)
