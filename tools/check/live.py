"""What a cluster has now, as context of a check."""

import os
import subprocess

from tools.check import documents
from tools.check.documents import Document

# What objects refer to.
_KINDS = (
    "services",
    "serviceaccounts",
    "serviceentries.networking.istio.io",
    "destinationrules.networking.istio.io",
    "gateways.networking.istio.io",
    "virtualservices.networking.istio.io",
)


def context(namespace: str, timeout: float = 20.0) -> list[Document]:
    """Services, ServiceAccounts and Istio objects of a namespace, through ``$KUBECTL`` (default: kubectl).

    Args:
        namespace: namespace to read.
        timeout: seconds that the cluster may take for each kind.

    Raises:
        RuntimeError: if the cluster does not answer; the text is for the person.
    """
    kubectl = os.environ.get("KUBECTL", "kubectl")
    found: list[Document] = []
    for kind in _KINDS:
        command = [kubectl, "-n", namespace, "get", kind, "-o", "yaml"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except FileNotFoundError:
            raise RuntimeError(f"{kubectl} is not there: install it or name it in KUBECTL") from None
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"the cluster did not answer within {timeout:g} s: {' '.join(command)}"
            ) from None
        if done.returncode:
            text = done.stderr.strip().splitlines()
            raise RuntimeError(f"{' '.join(command)}: {text[-1] if text else f'exit {done.returncode}'}")
        found += documents.read(done.stdout, kind)[0]
    return found
