"""Connecting to the API server: with the ServiceAccount inside a pod, with KUBECONFIG elsewhere."""

import os
from pathlib import Path

from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config


class NoCluster(Exception):
    """No cluster or credentials are configured."""


async def connect(context: str | None = None) -> ApiClient:
    """A client with the credentials of this environment. `context` names one of the kubeconfig's contexts.

    Raises NoCluster if there are none.
    """
    configuration = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # upstream has none
        else:
            await load_kube_config(
                kubeconfig(), context=context, client_configuration=configuration, persist_config=False
            )
    except (ConfigException, TypeError) as error:  # TypeError if the file is empty
        raise NoCluster(f"{error}; set KUBECONFIG, or run in a pod") from error
    configuration.connection_pool_maxsize = 32
    return ApiClient(configuration)


def kubeconfig() -> str:
    """The path, or several paths. A missing file is reported here, because the client's own message does not name it.
    Raises NoCluster."""
    paths = os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config"))
    if not any(path and Path(path).expanduser().exists() for path in paths.split(os.pathsep)):
        raise NoCluster(f"there is no {paths or 'kubeconfig'}; set KUBECONFIG, or run in a pod")
    return paths
