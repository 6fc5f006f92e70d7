"""How to reach the API server: from inside a pod by its ServiceAccount, elsewhere by KUBECONFIG."""

import os
from pathlib import Path

from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config


class NoCluster(Exception):
    """Nothing here says which cluster, or with which credentials."""


async def connect(context: str | None = None) -> ApiClient:
    """A client with the credentials of this place; `context` names one of the kubeconfig's.

    Raises NoCluster where there are none.
    """
    configuration = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # upstream has none
        else:
            await load_kube_config(
                kubeconfig(), context=context, client_configuration=configuration, persist_config=False
            )
    except (ConfigException, TypeError) as error:  # the latter where the file is empty
        raise NoCluster(f"{error}; set KUBECONFIG, or run in a pod") from error
    configuration.connection_pool_maxsize = 32
    return ApiClient(configuration)


def kubeconfig() -> str:
    """The path, or several. A file that is missing is named here: the client's own words are about keys in it, after a
    line of its log. Raises NoCluster."""
    paths = os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config"))
    if not any(path and Path(path).expanduser().exists() for path in paths.split(os.pathsep)):
        raise NoCluster(f"there is no {paths or 'kubeconfig'}; set KUBECONFIG, or run in a pod")
    return paths
