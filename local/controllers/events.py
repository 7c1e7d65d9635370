"""Kubernetes Events: what the mesh's parts tell people about an object (kubectl events)."""

import time
import uuid
from collections import OrderedDict

from local.kinds import Object
from local.store import Store, StoreError, namespace_of, now

_LIMIT = 500
"""Events kept in all."""
_AGE = 3600.0
"""Seconds that an event is kept since it happened last, as kube-apiserver's --event-ttl."""

_Identity = tuple[str, ...]


class EventRecorder:
    """Writes events: one that repeats is counted, and the oldest go when there are too many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: OrderedDict[_Identity, tuple[Object, float]] = OrderedDict()

    def normal(self, source: str, obj: Object, reason: str, message: str, field: str = "") -> None:
        """Tell what went as it should; `source`: the component, `field`: such as spec.containers{app}."""
        self._record("Normal", source, obj, reason, message, field)

    def warning(self, source: str, obj: Object, reason: str, message: str, field: str = "") -> None:
        """Tell what went wrong."""
        self._record("Warning", source, obj, reason, message, field)

    def _record(  # noqa: PLR0917
        self, kind: str, source: str, obj: Object, reason: str, message: str, field: str
    ) -> None:
        namespace = namespace_of(obj) or "default"
        place = self._store.find("Namespace", "", namespace)
        if place is None or place["metadata"].get("deletionTimestamp"):
            return
        identity = (kind, source, obj["metadata"].get("uid", ""), reason, message, field)
        known = self._events.get(identity)
        try:
            stored = self._again(known[0]) if known else None
            stored = stored or self._store.create(
                self._event(kind, source, obj, reason, message, field, namespace)
            )
        except StoreError:
            return  # An event is for people: nothing may fail for the lack of one.
        self._events[identity] = (stored, time.monotonic())
        self._events.move_to_end(identity)
        self._prune()

    def _again(self, event: Object) -> Object | None:
        def count(newest: Object) -> None:
            newest["count"] = newest.get("count", 1) + 1
            newest["lastTimestamp"] = now()

        return self._store.mark(event, count)

    @staticmethod
    def _event(  # noqa: PLR0917
        kind: str, source: str, obj: Object, reason: str, message: str, field: str, namespace: str
    ) -> Object:
        meta = obj["metadata"]
        involved = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "name": meta["name"],
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        if namespace_of(obj):
            involved["namespace"] = namespace
        if field:
            involved["fieldPath"] = field
        at = now()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
            "firstTimestamp": at,
            "lastTimestamp": at,
            "eventTime": None,
            "count": 1,
        }

    def _prune(self) -> None:
        oldest_allowed = time.monotonic() - _AGE
        while self._events:
            identity, (event, at) = next(iter(self._events.items()))
            if len(self._events) <= _LIMIT and at >= oldest_allowed:
                return
            del self._events[identity]
            self._store.remove(event)
