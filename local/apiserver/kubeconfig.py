"""The kubeconfig file: what kubectl, Helm and every other client need to reach this API server."""

import base64
from pathlib import Path

import yaml

from local.files import write_atomically
from local.settings import Settings

CONTEXT = "c756-local"
"""Name of the cluster, the user and the context."""


def write_kubeconfig(settings: Settings, token: str, ca: bytes) -> Path:
    """Write `settings.kubeconfig` (mode 0600, replaced by rename) and return its path.

    `ca` is the PEM text of the authority that signed the server's certificate.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {
                    "server": f"https://{settings.api_host}:{settings.api_port}",
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [
            {"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"}}
        ],
        "preferences": {},
    }
    path = settings.kubeconfig
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, yaml.safe_dump(config, sort_keys=False), 0o600)
    return path
