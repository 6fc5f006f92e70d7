"""Messages between operator and mesh other than the push (registry_document.py): docs/protocols/registry.md."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf, PlainValidator, WithJsonSchema

from asya_crds.flow_problem import FlowProblem
from asya_crds.message import WireMessage
from asya_crds.message_fields import Count, Text, integer

LARGEST_EPOCH = 2**63 - 1
_EPOCH_SCHEMA = {"type": "integer", "minimum": 1, "maximum": LARGEST_EPOCH}
Number = Annotated[int, PlainValidator(integer(0, 2**63 - 1)), WithJsonSchema({"type": "integer", "minimum": 0})]
Epoch = Annotated[int, PlainValidator(integer(1, LARGEST_EPOCH)), WithJsonSchema(_EPOCH_SCHEMA)]
Seconds = Annotated[InstanceOf[float] | InstanceOf[int], WithJsonSchema({"type": "number"})]


def _listed(value: Any) -> Any:
    return [] if value is None else value


class AnnounceMessage(WireMessage):
    """POST /mesh/registry/epoch."""

    leader: Text | None = None


class AnnounceAnswer(WireMessage):
    """The epoch under which this operator leads."""

    epoch: Epoch


class HeartbeatMessage(WireMessage):
    """POST /mesh/registry/heartbeat: the operator is alive."""

    epoch: Epoch


class HeartbeatAnswer(WireMessage):
    """The row's generation."""

    epoch: Epoch
    generation: Number


class KeptFlow(WireMessage):
    """A flow of a source that the operator could not read. The row's earlier flow stays in force."""

    name: Text
    source: Text


class PushAnswer(WireMessage):
    """The result of a push: the generation, the flows that gateways of this version serve, those that they leave out,
    and why. An older mesh does not send `problems` and `kept`."""

    status: Literal["ok"] = "ok"
    generation: Number
    changed: bool = False
    flows: Count = 0
    problems: Annotated[list[FlowProblem], BeforeValidator(_listed)] = Field(default_factory=list)
    kept: Annotated[list[KeptFlow], BeforeValidator(_listed)] = Field(default_factory=list)


class PodMessage(WireMessage):
    """A live pod; `heartbeat_age` in seconds by the database's clock."""

    name: Text
    mode: Text
    generation: Number
    heartbeat_age: Seconds = 0.0


class RegistryAnswer(WireMessage):
    """GET /mesh/registry. `operator_age`: seconds since the operator's last heartbeat, null if there was none;
    `programmed`: whether every live serving pod serves the generation."""

    generation: Number
    epoch: Number = 0
    flows: Count = 0
    operator_age: Seconds | None = None
    programmed: bool = False
    pods: list[PodMessage]
