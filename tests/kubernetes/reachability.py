"""A small evaluator of NetworkPolicies: who may reach whom (pure; Kubernetes documentation, "Network Policies").

Since not every cluster that runs the tests enforces policies, what they mean is computed from what they say.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod (labels, and the labels of its namespace), or an address outside the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "asya"
    address: str | None = None

    @property
    def namespace_labels(self) -> Mapping[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace}


def may_reach(policies: Iterable[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the source may leave for the target and the target lets it in. A pod that no policy of a direction
    selects is open in that direction."""
    policies = list(policies)
    out = _allowed(policies, "Egress", source, target, port, protocol)
    return out and _allowed(policies, "Ingress", target, source, port, protocol)


def _allowed(policies: list[Policy], direction: str, subject: Peer, other: Peer, port: int, protocol: str) -> bool:
    if subject.address is not None:
        return True
    chosen = [policy for policy in policies if _selects(policy, subject) and direction in _types(policy)]
    if not chosen:
        return True
    rules = [rule for policy in chosen for rule in policy["spec"].get(direction.lower()) or []]
    side = "to" if direction == "Egress" else "from"
    return any(_ports(rule, port, protocol) and _peers(rule.get(side), other, subject) for rule in rules)


def _types(policy: Policy) -> list[str]:
    spec = policy["spec"]
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _selects(policy: Policy, peer: Peer) -> bool:
    return peer.namespace == policy["metadata"]["namespace"] and _matches(policy["spec"]["podSelector"], peer.labels)


def _ports(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    if not ports:
        return True
    return any(
        item.get("protocol", "TCP") == protocol and item["port"] <= port <= item.get("endPort", item["port"])
        for item in ports
    )


def _peers(peers: list[Mapping[str, Any]] | None, other: Peer, subject: Peer) -> bool:
    return True if not peers else any(_is(peer, other, subject) for peer in peers)


def _is(peer: Mapping[str, Any], other: Peer, subject: Peer) -> bool:
    if "ipBlock" in peer:
        # Pods are judged by their labels alone: whether a block reaches them depends on the network plugin.
        return other.address is not None and _in_block(peer["ipBlock"], other.address)
    if other.address is not None:
        return False
    if "namespaceSelector" in peer:
        same = _matches(peer["namespaceSelector"], other.namespace_labels)
    else:
        same = other.namespace == subject.namespace
    return same and ("podSelector" not in peer or _matches(peer["podSelector"], other.labels))


def _in_block(block: Mapping[str, Any], address: str) -> bool:
    where = ipaddress.ip_address(address)
    return where in ipaddress.ip_network(block["cidr"]) and not any(
        where in ipaddress.ip_network(part) for part in block.get("except") or []
    )


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or [])


def _expression(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(item["key"]), item.get("values") or []
    match item["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"no operator of a label selector: {other}")
