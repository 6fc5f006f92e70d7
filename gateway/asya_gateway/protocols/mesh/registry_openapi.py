"""What /openapi.json says of the operator's routes."""

from asya_gateway.protocols.http.openapi import Json, Paths, answer, errors, json_body, query

_PUSHED: Json = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"const": "ok"},
        "generation": {"type": "integer"},
        "changed": {"type": "boolean"},
        "flows": {},
        "problems": {"type": "array", "items": {"type": "object"}},
    },
}
_EPOCH: Json = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
_STATE: Json = {
    "type": "object",
    "required": ["generation", "epoch", "programmed", "pods"],
    "properties": {
        "generation": {"type": "integer"},
        "epoch": {"type": "integer"},
        "flows": {},
        "operator_age": {"type": ["number", "null"]},
        "programmed": {"type": "boolean"},
        "pods": {"type": "array", "items": {"type": "object"}},
    },
}

REGISTRY_PATHS: Paths = {
    "/mesh/config-reload": {
        "post": {
            "operationId": "reloadConfig",
            "summary": "Without a body every api pod reads its mounted file again; with one the registry is replaced.",
            "description": "The body is described in docs/protocols/registry.md.",
            "requestBody": {"required": False, "content": {"application/json": {}}},
            "responses": {"200": answer("Done.", _PUSHED), **errors(409, 413)},
        }
    },
    "/mesh/registry": {
        "get": {
            "operationId": "getRegistry",
            "summary": "Which generation each live pod serves.",
            "parameters": [
                query("generation", {"type": "integer", "minimum": 0, "maximum": 999_999_999}, "The one waited for."),
                query("wait", {"type": "number", "minimum": 0, "maximum": 60}, "Seconds to wait at most."),
            ],
            "responses": {"200": answer("The registry.", _STATE), **errors()},
        }
    },
    "/mesh/registry/epoch": {
        "post": {
            "operationId": "announceLeader",
            "summary": "A new fencing epoch for an operator that begins to lead.",
            "requestBody": json_body(
                {"type": "object", "properties": {"leader": {"type": ["string", "null"]}}}, required=False
            ),
            "responses": {
                "200": answer("The epoch.", {"type": "object", "required": ["epoch"], "properties": {"epoch": _EPOCH}}),
                **errors(413),
            },
        }
    },
    "/mesh/registry/heartbeat": {
        "post": {
            "operationId": "operatorHeartbeat",
            "summary": "The operator is alive.",
            "requestBody": json_body({"type": "object", "required": ["epoch"], "properties": {"epoch": _EPOCH}}),
            "responses": {
                "200": answer("Taken.", {"type": "object", "required": ["epoch", "generation"]}),
                **errors(409, 413),
            },
        }
    },
}
