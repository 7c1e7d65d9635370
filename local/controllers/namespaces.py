"""Namespaces: what is in one goes with it; each has its default ServiceAccount."""

from collections.abc import Iterable
from typing import ClassVar

from local.controllers.base import Controller, key_of
from local.controllers.queue import Key
from local.kinds import BY_KIND, RESOURCES, Object
from local.store import AlreadyExistsError, Event, Store, namespace_of

_NAMESPACED = tuple(resource.kind for resource in RESOURCES if resource.namespaced)


class NamespaceController(Controller):
    """Empties namespaces that are being deleted, and removes them when nothing is left."""

    watches: ClassVar = ("Namespace", *_NAMESPACED)

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._ending: set[str] = set()

    def keys(self, event: Event) -> Iterable[Key]:
        """Return the namespace itself, or the one whose end an object of it delays."""
        obj = event.object
        if event.resource.kind == "Namespace":
            return [key_of(obj)]
        space = namespace_of(obj)
        if space in self._ending or (event.type == "DELETED" and event.resource.kind == "ServiceAccount"):
            return [("", space)]
        return []

    def reconcile(self, key: Key) -> float | None:
        """Complete a new namespace, or go on with the end of one."""
        name = key[1]
        namespace = self.store.find("Namespace", *key)
        if namespace is None:
            self._ending.discard(name)
            return None
        if namespace["metadata"].get("deletionTimestamp"):
            self._ending.add(name)
            self._empty(namespace)
            return None
        self._complete(namespace)
        return None

    def _complete(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        if (namespace.get("status") or {}).get("phase") != "Active":
            self.store.mark(namespace, lambda newest: newest.update(status={"phase": "Active"}), status=True)
        account: Object = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        }
        if self.store.find("ServiceAccount", name, "default") is None:
            try:
                self.store.create(account)
            except AlreadyExistsError:
                return

    def _empty(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        content = [obj for kind in _NAMESPACED for obj in self.store.select(kind, name)]
        for obj in content:
            if not obj["metadata"].get("deletionTimestamp"):
                self.store.delete(BY_KIND[obj["kind"]].kind, name, obj["metadata"]["name"])
        if not any(self.store.select(kind, name) for kind in _NAMESPACED):
            finalizers = namespace["metadata"].get("finalizers")
            if not finalizers:
                self.store.remove(namespace)
