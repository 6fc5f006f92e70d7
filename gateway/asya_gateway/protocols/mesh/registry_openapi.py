"""What /openapi.json says of the operator's routes."""

from asya_crds.registry_document import RegistryPush
from asya_gateway.protocols.http.openapi import Json, Paths, answer, errors, json_body, query

_EPOCH: Json = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_COUNT: Json = {"type": "integer", "minimum": 0}
_PROBLEM: Json = {
    "type": "object",
    "required": ["name", "reason", "source", "line"],
    "properties": {
        "name": {"type": "string"},
        "reason": {"type": "string"},
        "source": {"type": "string"},
        "line": {"type": ["integer", "null"]},
    },
}
_KEPT: Json = {
    "type": "object",
    "required": ["name", "source"],
    "properties": {"name": {"type": "string"}, "source": {"type": "string"}},
}


def _push() -> Json:
    """The pushed document's schema with its parts inside, so that it needs no home of its own."""
    schema = RegistryPush.model_json_schema()
    parts = schema.pop("$defs")

    def inside(value: object) -> object:
        if isinstance(value, list):
            return [inside(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inside(parts[value["$ref"].rpartition("/")[2]])
        return {key: inside(each) for key, each in value.items()}

    found = inside(schema)
    assert isinstance(found, dict)
    return found


_PUSHED: Json = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"const": "ok"},
        "generation": _COUNT,
        "changed": {"type": "boolean"},
        "flows": _COUNT,
        "problems": {"type": "array", "items": _PROBLEM},
        "kept": {"type": "array", "items": _KEPT},
    },
}
_POD: Json = {
    "type": "object",
    "required": ["name", "mode", "generation", "heartbeat_age"],
    "properties": {
        "name": {"type": "string"},
        "mode": {"type": "string"},
        "generation": _COUNT,
        "heartbeat_age": {"type": "number"},
    },
}
_STATE: Json = {
    "type": "object",
    "required": ["generation", "epoch", "flows", "operator_age", "programmed", "pods"],
    "properties": {
        "generation": _COUNT,
        "epoch": _COUNT,
        "flows": _COUNT,
        "operator_age": {"type": ["number", "null"]},
        "programmed": {"type": "boolean"},
        "pods": {"type": "array", "items": _POD},
    },
}
_HEARTBEAT: Json = {"type": "object", "required": ["epoch"], "properties": {"epoch": _EPOCH}}

REGISTRY_PATHS: Paths = {
    "/mesh/config-reload": {
        "post": {
            "operationId": "reloadConfig",
            "summary": "Push parts of the registry; without a body every api pod reads its mounted file at once.",
            "requestBody": json_body({"anyOf": [_push(), {"type": "object", "maxProperties": 0}]}, required=False),
            "responses": {"200": answer("Done.", _PUSHED), **errors(409, 413)},
        }
    },
    "/mesh/registry": {
        "get": {
            "operationId": "getRegistry",
            "summary": "Which pods serve which generation; with `wait`, once all of them serve it.",
            "parameters": [
                query(
                    "generation", {"type": "integer", "minimum": 0, "maximum": 999_999_999}, "Generation to wait for."
                ),
                query("wait", {"type": "number", "minimum": 0}, "Seconds, at most 60."),
            ],
            "responses": {"200": answer("The state.", _STATE), **errors()},
        }
    },
    "/mesh/registry/epoch": {
        "post": {
            "operationId": "announceLeader",
            "summary": "A new epoch for an operator that becomes the leader.",
            "requestBody": json_body(
                {"type": "object", "properties": {"leader": {"type": ["string", "null"]}}}, required=False
            ),
            "responses": {
                "200": answer("Issued.", {"type": "object", "required": ["epoch"], "properties": {"epoch": _EPOCH}}),
                **errors(413),
            },
        }
    },
    "/mesh/registry/heartbeat": {
        "post": {
            "operationId": "operatorHeartbeat",
            "summary": "The operator is alive.",
            "requestBody": json_body(_HEARTBEAT),
            "responses": {
                "200": answer(
                    "Noted.",
                    {
                        "type": "object",
                        "required": ["epoch", "generation"],
                        "properties": {"epoch": _EPOCH, "generation": _COUNT},
                    },
                ),
                **errors(409, 413),
            },
        }
    },
}
