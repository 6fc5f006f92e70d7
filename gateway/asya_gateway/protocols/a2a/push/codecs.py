"""The forms of configurations, by dialect."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asya_gateway.protocols.a2a.dialects import push_v0_3, push_v0_3_proto, push_v1_0
from asya_gateway.protocols.a2a.model import ListPush, NamedPush, PushConfig, SetPush


@dataclass(frozen=True, slots=True)
class PushCodec:
    """Between the wire and the model. `named_by_task`: a configuration without an id is called as its task."""

    read_set: Callable[[Mapping[str, Any]], SetPush]
    read_named: Callable[[Mapping[str, Any]], NamedPush]
    read_list: Callable[[Mapping[str, Any]], ListPush]
    config: Callable[[str, PushConfig], Any]
    page: Callable[[str, Sequence[PushConfig], str], Any]
    deleted: Callable[[], Any]
    named_by_task: bool


def _older(config: Callable[[str, PushConfig], Any]) -> PushCodec:
    of = push_v0_3
    return PushCodec(of.read_set, of.read_named, of.read_list, config, of.page, of.deleted, named_by_task=True)


CODECS: Mapping[str, PushCodec] = {
    "1.0": PushCodec(
        push_v1_0.read_set,
        push_v1_0.read_named,
        push_v1_0.read_list,
        push_v1_0.config,
        push_v1_0.page,
        push_v1_0.deleted,
        named_by_task=False,
    ),
    "0.3": _older(push_v0_3.config),
    "0.3 proto": PushCodec(
        push_v0_3_proto.read_set,
        push_v0_3_proto.read_named,
        push_v0_3_proto.read_list,
        push_v0_3_proto.config,
        push_v0_3_proto.page,
        push_v0_3_proto.deleted,
        named_by_task=True,
    ),
    "0.1": _older(push_v0_3.oldest_config),
}
"""By the dialect's key."""
