"""Pods that call: with an identity of one's choice, from inside or outside the mesh."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.cluster import Cluster


def client_pod(cluster: Cluster, service_account: str, name: str = "client") -> dict[str, Any]:
    """Return a pod that does nothing, of S1's image, under the rules of restricted pod security."""
    labels = {"app": name}
    if service_account.startswith("c756-"):
        labels["app"] = service_account  # as the NetworkPolicies know it
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"sidecar.istio.io/nativeSidecar": "true"},
        },
        "spec": {
            "serviceAccountName": service_account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": f"{cluster.images}/cmpt756s1:v1",
                    "imagePullPolicy": cluster.pull_policy,
                    "command": ["sleep", "infinity"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


@contextmanager
def client_as(cluster: Cluster, service_account: str) -> Iterator[str]:
    """Run a pod with that identity in c756ns; yields its name."""
    name = f"client-as-{service_account}"
    cluster.apply([client_pod(cluster, service_account, name)])
    try:
        cluster.kubectl(f"-n c756ns wait --for=condition=Ready pod/{name} --timeout=60s")
        yield name
    finally:
        cluster.kubectl(f"-n c756ns delete pod {name}")
