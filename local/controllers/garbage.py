"""Garbage collection: what belongs to an object that is gone goes as well (metadata.ownerReferences)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import ClassVar

from local.controllers.base import Controller
from local.controllers.queue import Key
from local.kinds import RESOURCES, Object
from local.store import Event, Store, namespace_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

_Place = tuple[str, str, str]


def _place(obj: Object) -> _Place:
    return obj["kind"], namespace_of(obj), obj["metadata"]["name"]


def _owners(obj: Object) -> list[Object]:
    return list(obj["metadata"].get("ownerReferences") or [])


class GarbageCollector(Controller):
    """Deletes dependents in the background, before their owner (foreground), or lets them go (orphan).

    Its keys are ("uid", uid): an object that has owners or dependents, or had.
    """

    watches: ClassVar = tuple(resource.kind for resource in RESOURCES if resource.kind != "Event")

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._places: dict[str, _Place] = {}
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        self._owners: dict[str, set[str]] = {}

    def keys(self, event: Event) -> Iterable[Key]:
        """Keep the graph of owners up to date; return the object, its owners, and what it leaves behind."""
        obj = event.object
        uid = obj["metadata"]["uid"]
        before = self._owners.get(uid, set())
        after = set() if event.type == "DELETED" else {ref["uid"] for ref in _owners(obj)}
        for owner in before - after:
            self._dependents[owner].discard(uid)
        for owner in after:
            self._dependents[owner].add(uid)
        concerned = {uid, *before, *after}
        if event.type == "DELETED":
            self._places.pop(uid, None)
            self._owners.pop(uid, None)
            concerned |= self._dependents[uid]
            concerned.discard(uid)
        else:
            self._places[uid] = _place(obj)
            self._owners[uid] = after
            if not after and not obj["metadata"].get("deletionTimestamp"):
                concerned.discard(uid)
        for owner in before | {uid}:
            if not self._dependents[owner]:
                del self._dependents[owner]
        return [("uid", one) for one in concerned]

    def reconcile(self, key: Key) -> float | None:
        """Delete an object that has lost all its owners; go on with a foreground or orphaning deletion."""
        uid = key[1]
        obj = self._find(uid)
        if obj is None:
            return None
        if obj["metadata"].get("deletionTimestamp"):
            finalizers = obj["metadata"].get("finalizers") or []
            if ORPHAN in finalizers:
                self._orphan(obj)
            elif FOREGROUND in finalizers:
                self._delete_dependents(obj)
            return None
        refs = _owners(obj)
        present = [ref for ref in refs if self._is_there(ref, obj)]
        if refs and not present:
            self.store.delete(*_place(obj))
        elif len(present) < len(refs):
            self._keep_owners(obj, present)
        return None

    def _find(self, uid: str) -> Object | None:
        place = self._places.get(uid)
        obj = self.store.find(*place) if place else None
        return obj if obj is not None and obj["metadata"]["uid"] == uid else None

    def _is_there(self, ref: Object, dependent: Object) -> bool:
        """Tell whether an owner exists, in the dependent's namespace or without one."""
        owner = self._find(ref["uid"])
        return owner is not None and namespace_of(owner) in ("", namespace_of(dependent))

    def _dependents_of(self, obj: Object) -> list[Object]:
        uids = sorted(self._dependents.get(obj["metadata"]["uid"], ()))
        return [found for uid in uids if (found := self._find(uid)) is not None]

    def _keep_owners(self, obj: Object, refs: list[Object]) -> None:
        self.store.mark(obj, lambda newest: newest["metadata"].update(ownerReferences=refs))

    def _orphan(self, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        for dependent in self._dependents_of(obj):
            left = [ref for ref in _owners(dependent) if ref["uid"] != uid]
            self._keep_owners(dependent, left)
        self._finish(obj, ORPHAN)

    def _delete_dependents(self, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        waiting = False
        for dependent in self._dependents_of(obj):
            blocks = any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in _owners(dependent))
            waiting |= blocks
            if not dependent["metadata"].get("deletionTimestamp"):
                if blocks and self._dependents.get(dependent["metadata"]["uid"]):
                    self._add_finalizer(dependent)
                self.store.delete(*_place(dependent))
        if not waiting:
            self._finish(obj, FOREGROUND)

    def _add_finalizer(self, obj: Object) -> None:
        def change(newest: Object) -> None:
            finalizers = newest["metadata"].setdefault("finalizers", [])
            if FOREGROUND not in finalizers:
                finalizers.append(FOREGROUND)

        self.store.mark(obj, change)

    def _finish(self, obj: Object, finalizer: str) -> None:
        def change(newest: Object) -> None:
            meta = newest["metadata"]
            left = [name for name in meta.get("finalizers", []) if name != finalizer]
            meta.pop("finalizers", None)
            if left:
                meta["finalizers"] = left

        self.store.mark(obj, change)
