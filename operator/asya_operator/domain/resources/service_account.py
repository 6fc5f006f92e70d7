"""The ServiceAccount that actor pods run as. It has no permissions."""

from asya_operator.domain.resources.common import Document, Surroundings


def service_account(around: Surroundings) -> Document:
    """Shared by all actors of the namespace, so no actor owns it. It has no labels, because what installed the operator
    has it, too, and an apply of another label would be refused."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": around.service_account, "namespace": around.namespace},
        "automountServiceAccountToken": False,
    }
