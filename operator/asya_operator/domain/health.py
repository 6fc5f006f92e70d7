"""The answers of the probes: why this process is not ready, in words that a user can act on."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """Collected from every part of the process. A standby is ready; a leader is ready once it has listed everything."""

    leading: bool = False
    lease: str = "waiting for the first response of the API server"
    denied: dict[str, str] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    stopping: bool = False

    def reasons(self) -> list[str]:
        """Why the process is not ready; empty if it is."""
        reasons = [f"denied: {message}" for _, message in sorted(self.denied.items())]
        if self.stopping:
            reasons.append("stopping")
        if self.lease:
            reasons.append(f"lease: {self.lease}")
        if self.leading and self.unlisted:
            reasons.append(f"not listed yet: {', '.join(sorted(self.unlisted))}")
        return reasons
