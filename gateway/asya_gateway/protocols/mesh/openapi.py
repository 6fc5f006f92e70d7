"""The part of /openapi.json with the routes of sidecars, workers and crew."""

from asya_crds.envelope import Envelope
from asya_crds.hop_reports import (
    CREWS_PATH,
    REPORTS_PATH,
    AliveMessage,
    BeginAnswer,
    BeginMessage,
    CrewAnswer,
    CrewMessage,
    EndAnswer,
    EndMessage,
    PartMessage,
    QueuesMessage,
    ReportError,
    ReportKind,
)
from asya_crds.mesh_messages import (
    FINAL_STATUSES,
    ActiveAnswer,
    ChildMessage,
    CreatedAnswer,
    FinalMessage,
    OkAnswer,
    OlderRouteMessage,
    ProgressAnswerMessage,
    ProgressMessage,
    StandingAnswer,
)
from asya_crds.message import answer_schema, schema_of
from asya_crds.naming import RESUME
from asya_crds.pause_messages import QuestionMessage
from asya_crds.status import HopState
from asya_crds.unified_messages import WAITING_STATUSES, EventMessage, IdAnswer, OneActorMessage
from asya_gateway.protocols.http.openapi import (
    LAST_EVENT_ID,
    NULLABLE_ID,
    NULLABLE_TEXT,
    PATH_ID,
    STREAM,
    Json,
    Paths,
    answer,
    errors,
    json_body,
    query,
    ref,
)
from asya_gateway.protocols.mesh.registry_openapi import REGISTRY_PATHS
from asya_gateway.protocols.mesh.reports import MOST_REPORTS
from asya_gateway.protocols.mesh.standing import HOP_PATTERN

_REPORT = schema_of(ProgressMessage)
_CLAIM: Json = _REPORT["properties"]["claim"]
_QUESTION = schema_of(QuestionMessage)
_ENVELOPE = schema_of(Envelope)


def _report(status: Json, **more: Json) -> Json:
    """A progress report with these statuses, and more fields."""
    nothing: Json = {"type": "null"}
    properties = {**_REPORT["properties"], "frames": nothing, "pause_metadata": nothing, "status": status, **more}
    return {**_REPORT, "allOf": [ref("RouteFields")], "properties": properties}


def _pause(*required: str, **more: Json) -> Json:
    """A pause with the envelope to continue from; with `required` it is one that can be answered."""
    fields: Json = {
        "status": NULLABLE_TEXT,
        "pause_id": NULLABLE_ID,
        "pause_metadata": {"anyOf": [_QUESTION, {"type": "null"}]},
        "checkpoint": {"anyOf": [_ENVELOPE, {"type": "null"}]},
        "claim": _CLAIM,
        "incarnation": _REPORT["properties"]["incarnation"],
    }
    return {
        "allOf": [ref("RouteFields")],
        "description": "A pause, with the envelope to continue from.",
        "type": "object",
        "required": [*required],
        "properties": {**fields, **more},
    }


_FRAME: Json = {"type": "object", "description": "An Envelope; mesh keeps it as it came."}
_NOBODY: Json = {"type": ["array", "null"], "maxItems": 0}
_NO_ROUTE: Json = {"prev": _NOBODY, "curr": {"enum": ["", None]}, "next": _NOBODY, "actors": _NOBODY}
_PROGRESS: Json = {
    "description": "A report of one hop, with {prev, curr, next}. A "
    "report with `pause_metadata` is a pause, whatever its status is. In the older dialect the route is "
    "{actors, current_actor_idx}.",
    "anyOf": [
        _report({"enum": [state.value for state in HopState if state is not HopState.PROCESSED]}),
        {
            **_report({"const": "processed"}, frames={"type": ["array", "null"], "items": _FRAME}),
            "description": "The handler has ended; these are the envelopes that it will send on.",
        },
        _pause("status", status={"enum": [*WAITING_STATUSES]}),
        _pause("pause_metadata", "checkpoint", pause_metadata=_QUESTION, checkpoint=_ENVELOPE),
        {
            **_pause("pause_metadata", "curr", pause_metadata=_QUESTION, curr={"const": RESUME}),
            "description": "A pause of x-pause, which has stored the envelope itself.",
        },
        {
            **_pause("pause_metadata", pause_metadata=_QUESTION, **_NO_ROUTE),
            "description": "A pause whose report has no route.",
        },
    ],
}
_ANSWER = schema_of(ProgressAnswerMessage)
_PROGRESS_ANSWER: Json = {
    **_ANSWER,
    "required": ["status", "progress_percent"],
    "properties": {**_ANSWER["properties"], "frames": {"type": "array", "items": _FRAME}},
}
_END = schema_of(FinalMessage)
_FINAL: Json = {
    **_END,
    "description": "How the task ended. An `id`, where there is one, must be the path's.",
    "required": ["status"],
    "properties": {
        # A schema cannot express which id is right.
        **{name: schema for name, schema in _END["properties"].items() if name != "id"},
        "status": {"enum": [*FINAL_STATUSES]},
        "result": {},
    },
}
_CHILD: Json = {**schema_of(ChildMessage), "allOf": [ref("RouteFields")]}
_OLDER_CHILD: Json = {
    **schema_of(ChildMessage),
    "description": "`current` is the index of the current actor, 0 where it is absent.",
    "allOf": [schema_of(OlderRouteMessage)],
}
_HOP_REPORT_KINDS: Json = {
    ReportKind.BEGIN: (BeginMessage, "A hop's message has arrived: claims the hop."),
    ReportKind.END: (EndMessage, "The handler has ended: log, claim, envelopes and acknowledgement together."),
    ReportKind.PART: (PartMessage, "Envelopes of an end that come before it."),
    ReportKind.ALIVE: (AliveMessage, "The handler is running: renews the claim."),
}


def _hop_report(kind: ReportKind) -> Json:
    model, summary = _HOP_REPORT_KINDS[kind]
    said = schema_of(model)
    return {
        **said,
        "description": summary,
        "required": ["kind", *said["required"]],
        "properties": {"kind": {"const": kind.value}, **said["properties"]},
    }


_HOP_REPORTS: Json = {
    "type": "object",
    "required": ["queues", "reports"],
    "properties": {
        "queues": schema_of(QueuesMessage),
        "reports": {
            "type": "array",
            "description": f"At most {MOST_REPORTS}.",
            # Anything may stand here, because a report that cannot be read refuses only itself.
            "items": {
                "anyOf": [*(_hop_report(kind) for kind in ReportKind), {"description": "Answered with `error`."}]
            },
        },
    },
}
_BEGUN = answer_schema(BeginAnswer)
_HOP_ANSWER: Json = {
    "anyOf": [
        {**_BEGUN, "properties": {**_BEGUN["properties"], "frames": {"type": "array", "items": _FRAME}}},
        answer_schema(EndAnswer),
        {"type": "object", "required": ["error"], "properties": {"error": answer_schema(ReportError)}},
    ]
}
_HOP_ANSWERS: Json = {
    "type": "object",
    "required": ["answers"],
    "properties": {"answers": {"type": "array", "items": _HOP_ANSWER}},
}
_SAID = schema_of(EventMessage)
_EVENT: Json = {
    "anyOf": [
        {
            **_SAID,
            "required": ["type", "status"],
            "properties": {
                **_SAID["properties"],
                "type": {"const": "status"},
                "data": {"type": ["object", "null"], "description": "The rest of a progress or a final report."},
            },
        },
        {**_SAID, "properties": {"type": {"const": "fly"}, "data": {"description": "The live event."}}},
    ]
}

_ACTOR: Json = {
    "name": "actor",
    "in": "query",
    "required": True,
    "description": "The actor's name.",
    "schema": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
}

_HOP: Json = {
    "name": "hop",
    "in": "path",
    "required": True,
    "description": "Its place on the route, after the incarnation in which that route began, if it was not 0.",
    "schema": {"type": "string", "pattern": HOP_PATTERN},
}


def _child(operation_id: str, body: Json, summary: str) -> Json:
    return {
        "operationId": operation_id,
        "summary": summary,
        "requestBody": json_body(body),
        "responses": {"201": answer("Stored, or stored before.", answer_schema(CreatedAnswer)), **errors(409, 413)},
    }


def _unified(suffix: str) -> Json:
    return {
        "get": {
            "operationId": f"listMessages{suffix}",
            "summary": "Tasks, newest first.",
            "parameters": [
                query("status", ref("Status"), "Tasks of this status."),
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    "Largest number of tasks in a page.",
                ),
                query("offset", {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 0}, "Tasks to skip."),
            ],
            "responses": {"200": answer("A page.", ref("MessageList")), **errors()},
        },
        "post": {
            "operationId": f"createMessage{suffix}",
            "summary": "A task for one actor, with its envelope.",
            "parameters": [_ACTOR],
            "requestBody": json_body(schema_of(OneActorMessage)),
            "responses": {"201": answer("Accepted.", answer_schema(IdAnswer)), **errors(413)},
        },
    }


def _report_progress(suffix: str) -> Json:
    return {
        "operationId": f"reportProgress{suffix}",
        "summary": "A report of a hop, or a pause; unknown ids are ignored with the same response.",
        "requestBody": json_body(_PROGRESS),
        "responses": {"200": answer("Taken.", _PROGRESS_ANSWER), **errors(413)},
    }


def _report_final(suffix: str) -> Json:
    return {
        "operationId": f"reportFinal{suffix}",
        "summary": "Ends a task; the first report wins.",
        "requestBody": json_body(_FINAL),
        "responses": {"200": answer("Taken.", answer_schema(OkAnswer)), **errors(413)},
    }


def _send_live_event(suffix: str) -> Json:
    return {
        "operationId": f"sendLiveEvent{suffix}",
        "summary": "A live event for open streams: any JSON, bare or as {payload: {...}}.",
        "requestBody": json_body({}),
        "responses": {"200": answer("Accepted."), **errors(413)},
    }


_OLDER = "InOlderWords"

PATHS: Paths = {
    **REGISTRY_PATHS,
    "/mesh": {
        "post": _child("announceChild", _CHILD, "Announce a child of a fan-out, which the caller publishes itself.")
    },
    REPORTS_PATH: {
        "post": {
            "operationId": "reportHops",
            "summary": "Reports of many hops, each taken and answered by itself, in their order.",
            "requestBody": json_body(_HOP_REPORTS),
            "responses": {"200": answer("An answer for each report.", _HOP_ANSWERS), **errors(413)},
        }
    },
    CREWS_PATH: {
        "post": {
            "operationId": "announceCrew",
            "summary": "A crew runs, and whether it has hooks. Without, successes need no message to its sink.",
            "requestBody": json_body(schema_of(CrewMessage)),
            "responses": {"200": answer("Stored.", answer_schema(CrewAnswer)), **errors(413)},
        }
    },
    "/mesh/{id}": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "getMeshTask",
            "summary": "A task with its payload and result.",
            "responses": {"200": answer("The task.", ref("Task")), **errors(404)},
        },
    },
    "/mesh/{id}/stream": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "streamMeshTask",
            "summary": "A task's updates and live events.",
            "parameters": [LAST_EVENT_ID],
            "responses": {**STREAM, **errors(404)},
        },
    },
    "/mesh/{id}/active": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "isActive",
            "summary": "Whether the task is still open; unknown ids count as active.",
            "responses": {
                "200": answer("It does.", answer_schema(ActiveAnswer)),
                "410": answer("The task is paused, ended or overdue.", answer_schema(ActiveAnswer)),
                **errors(),
            },
        },
    },
    "/mesh/{id}/hops/{hop}": {
        "parameters": [PATH_ID, _HOP],
        "get": {
            "operationId": "getHop",
            "summary": "What is known of a hop. The crew asks before a dead letter ends its task.",
            "parameters": [_ACTOR],
            "responses": {
                "200": answer("What is known; of an unknown id, that it is not.", answer_schema(StandingAnswer)),
                **errors(),
            },
        },
    },
    "/mesh/{id}/progress": {"parameters": [PATH_ID], "post": _report_progress("")},
    "/mesh/{id}/final": {"parameters": [PATH_ID], "post": _report_final("")},
    "/mesh/{id}/fly": {"parameters": [PATH_ID], "post": _send_live_event("")},
    "/tasks": {"post": _child("announceChildInOlderWords", _OLDER_CHILD, "The older dialect of POST /mesh.")},
    "/tasks/{id}/progress": {"parameters": [PATH_ID], "post": _report_progress(_OLDER)},
    "/tasks/{id}/final": {"parameters": [PATH_ID], "post": _report_final(_OLDER)},
    "/tasks/{id}/partial": {"parameters": [PATH_ID], "post": _send_live_event(_OLDER)},
    "/tasks/{id}/upstream": {"parameters": [PATH_ID], "post": _send_live_event("Upstream")},
    "/api/v1/mesh": _unified(""),
    "/api/v1/mesh/": _unified("Slash"),
    "/api/v1/mesh/{id}": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "getMessage",
            "summary": "A task with its payload and result.",
            "responses": {"200": answer("The task.", ref("Task")), **errors(404)},
        },
        "delete": {
            "operationId": "cancelMessage",
            "summary": "Cancel a task.",
            "responses": {"204": answer("Canceled, now or before."), **errors(404, 409)},
        },
    },
    "/api/v1/mesh/{id}/events": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "streamMessage",
            "summary": "`status` and `fly` events of a task.",
            "parameters": [LAST_EVENT_ID],
            "responses": {**STREAM, **errors(404)},
        },
        "post": {
            "operationId": "reportEvent",
            "summary": "A report or a live event; unknown ids are ignored with the same response.",
            "requestBody": json_body(_EVENT),
            "responses": {"204": answer("Taken."), **errors(413)},
        },
    },
}
