"""The part of /openapi.json with the operator's routes."""

from asya_crds.mesh_messages import OkAnswer
from asya_crds.message import answer_schema, schema_of
from asya_crds.registry_document import RegistryPush
from asya_crds.registry_messages import (
    AnnounceAnswer,
    AnnounceMessage,
    HeartbeatAnswer,
    HeartbeatMessage,
    PushAnswer,
    RegistryAnswer,
)
from asya_gateway.protocols.http.openapi import Paths, answer, errors, json_body, query

REGISTRY_PATHS: Paths = {
    "/mesh/config-reload": {
        "post": {
            "operationId": "reloadConfig",
            "summary": "Push parts of the registry; without a body every api pod reads its mounted file at once.",
            "requestBody": json_body(
                {"anyOf": [schema_of(RegistryPush), {"type": "object", "maxProperties": 0}]}, required=False
            ),
            "responses": {
                "200": answer("Done.", {"anyOf": [answer_schema(PushAnswer), answer_schema(OkAnswer)]}),
                **errors(409, 413),
            },
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
            "responses": {"200": answer("The state.", answer_schema(RegistryAnswer)), **errors()},
        }
    },
    "/mesh/registry/epoch": {
        "post": {
            "operationId": "announceLeader",
            "summary": "A new epoch for an operator that becomes the leader.",
            "requestBody": json_body(schema_of(AnnounceMessage), required=False),
            "responses": {
                "200": answer("Issued.", answer_schema(AnnounceAnswer)),
                **errors(413),
            },
        }
    },
    "/mesh/registry/heartbeat": {
        "post": {
            "operationId": "operatorHeartbeat",
            "summary": "The operator is alive.",
            "requestBody": json_body(schema_of(HeartbeatMessage)),
            "responses": {
                "200": answer("Noted.", answer_schema(HeartbeatAnswer)),
                **errors(409, 413),
            },
        }
    },
}
