"""A read-only client of the Kubernetes API: in a pod by its ServiceAccount, elsewhere by a kubeconfig.

Token and authority of a pod: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/.
"""

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from requests.adapters import HTTPAdapter

Object = dict[str, Any]

_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_TIMEOUT = 3.0


class KubernetesError(Exception):
    """The API is not there, or does not let us read; the text says which."""


@dataclass(frozen=True)
class _Access:
    server: str
    authority: str
    """PEM text of the authority that signed the server's certificate."""
    token: str


class _Trusting(HTTPAdapter):
    """An adapter that trusts one authority, given as text."""

    def __init__(self, authority: str) -> None:
        self._context = ssl.create_default_context(cadata=authority)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


def _of_pod(environ: Mapping[str, str]) -> _Access:
    folder = Path(environ.get("KUBERNETES_ACCESS_FOLDER") or _FOLDER)
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("ca.crt", "token")]
    return _Access(f"https://{host}:{port}", texts[0], texts[1].strip())


def _of_kubeconfig(path: Path) -> _Access:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))

    def named(kind: str, name: str) -> Object:
        return next(entry[kind.rstrip("s")] for entry in config[kind] if entry["name"] == name)

    context = named("contexts", config["current-context"])
    cluster, user = named("clusters", context["cluster"]), named("users", context["user"])
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return _Access(cluster["server"], authority, user["token"])


class Kubernetes:
    """What of the API the console reads. The credentials are read anew with each use: they change."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._access: _Access | None = None
        self._session: requests.Session | None = None

    def list(self, path: str) -> list[Object]:
        """Return the objects at a path of the API, as `api/v1/namespaces/c756ns/pods`. Raises KubernetesError."""
        session, access = self._connect()
        headers = {"Authorization": f"Bearer {access.token}"}
        try:
            answer = session.get(f"{access.server}/{path}", headers=headers, timeout=_TIMEOUT)
            body = answer.json()
        except requests.RequestException as error:
            raise KubernetesError(f"The Kubernetes API at {access.server} cannot be reached.") from error
        if answer.status_code != 200:
            text = body.get("message") or answer.reason
            raise KubernetesError(f"The Kubernetes API refuses to show {path.rpartition('/')[2]}: {text}")
        items: list[Object] = body.get("items") or []
        return items

    def _connect(self) -> tuple[requests.Session, _Access]:
        access = self._read()
        if self._session is None or access != self._access:
            session = requests.Session()
            session.trust_env = False
            session.mount("https://", _Trusting(access.authority))
            self._session, self._access = session, access
        return self._session, access

    def _read(self) -> _Access:
        try:
            if self._environ.get("KUBERNETES_SERVICE_HOST"):
                return _of_pod(self._environ)
            if self._environ.get("KUBECONFIG"):
                return _of_kubeconfig(Path(self._environ["KUBECONFIG"]))
        except (OSError, KeyError, StopIteration, TypeError, binascii.Error, yaml.YAMLError) as error:
            raise KubernetesError(
                f"The credentials for the Kubernetes API cannot be read: {error!r}"
            ) from error
        raise KubernetesError(
            "The console has no access to a Kubernetes API here: start it with KUBECONFIG, or in a cluster."
        )


def virtual_services(kubernetes: Kubernetes, namespace: str) -> list[Object]:
    """Return the VirtualServices of a namespace. Raises KubernetesError."""
    return kubernetes.list(f"apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices")


def hosts_of(virtual_service: Object) -> set[str]:
    """Return the full hosts of the mesh that a VirtualService is about: its own and those it sends to."""
    space = virtual_service["metadata"]["namespace"]
    spec = virtual_service["spec"]
    names = [name for name in spec.get("hosts", []) if name != "*"]
    names += [
        route["destination"]["host"]
        for kind in ("http", "tcp", "tls")
        for rule in spec.get(kind) or []
        for route in rule.get("route") or []
    ]
    return {name if "." in name else f"{name}.{space}.svc.cluster.local" for name in names}


@dataclass(frozen=True)
class Weight:
    """The share in percent that a VirtualService's rule wants for one destination; `subset` is the version."""

    virtual_service: str
    rule: str
    host: str
    subset: str
    percent: float


def weights_of(virtual_service: Object) -> list[Weight]:
    """Return the weights of all http rules of a VirtualService as shares of each rule."""
    meta = virtual_service["metadata"]
    found = []
    for index, rule in enumerate(virtual_service["spec"].get("http") or []):
        routes = rule.get("route") or []
        weights = [100 if len(routes) == 1 else route.get("weight", 0) for route in routes]
        for route, weight in zip(routes, weights, strict=True):
            destination = route["destination"]
            name = destination["host"].partition(".")[0]
            share = 100 * weight / sum(weights) if sum(weights) else 0.0
            found.append(
                Weight(
                    meta["name"], rule.get("name") or str(index), name, destination.get("subset") or "", share
                )
            )
    return found
