"""The ConfigMap kube-root-ca.crt of each namespace: by it pods trust the API server."""

import base64
from collections.abc import Iterable
from typing import ClassVar

import yaml

from local.controllers.base import Controller
from local.controllers.queue import Key
from local.kinds import Object
from local.settings import Settings
from local.store import Event, Store, namespace_of

NAME = "kube-root-ca.crt"


class RootCAPublisher(Controller):
    """Kubernetes' controller of the same name."""

    watches: ClassVar = ("Namespace", "ConfigMap")

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__(store)
        self._settings = settings

    def keys(self, event: Event) -> Iterable[Key]:
        """Return the namespace, or that of a ConfigMap of this name."""
        meta = event.object["metadata"]
        if event.resource.kind == "Namespace":
            return [("", meta["name"])]
        return [("", namespace_of(event.object))] if meta["name"] == NAME else []

    def reconcile(self, key: Key) -> float | None:
        """Put the ConfigMap there, or back as it was."""
        namespace = self.store.find("Namespace", *key)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return None
        authority = self._authority()
        if authority is None:
            return None
        data = {"ca.crt": authority}
        present = self.store.find("ConfigMap", key[1], NAME)
        if present is None:
            wanted: Object = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": NAME, "namespace": key[1]},
                "data": data,
            }
            self.store.create(wanted)
        elif present.get("data") != data:
            self.store.update({**present, "data": data})
        return None

    def _authority(self) -> str | None:
        """Return the PEM text of the API server's authority, None while there is no API server."""
        try:
            config = yaml.safe_load(self._settings.kubeconfig.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        text: str = config["clusters"][0]["cluster"]["certificate-authority-data"]
        return base64.b64decode(text).decode()
