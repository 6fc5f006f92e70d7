"""The ServiceAccount that actor pods run as; it may do nothing."""

from asya_operator.domain.resources.common import MANAGER, Document, Surroundings


def service_account(around: Surroundings) -> Document:
    """Shared by all actors of the namespace, so that it belongs to none of them."""
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
