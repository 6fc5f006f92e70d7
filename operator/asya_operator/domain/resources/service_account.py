"""The ServiceAccount that actor pods run as. It has no permissions."""

from asya_operator.domain.resources.common import MANAGER, Document, Surroundings


def service_account(around: Surroundings) -> Document:
    """Shared by all actors of the namespace, so no actor owns it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": around.service_account,
            "namespace": around.namespace,
            "labels": {"app.kubernetes.io/managed-by": MANAGER},
        },
        "automountServiceAccountToken": False,
    }
