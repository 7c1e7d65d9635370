"""The objects of the mesh, in memory: what etcd and the API server's storage are to a cluster.

Everything runs in one asyncio loop, so that no method needs a lock; none of them awaits.
An object handed out is the caller's own copy. The objects live as long as the mesh runs.
"""

import asyncio
import copy
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local.kinds import BY_KIND, Object, Resource, resource_of

_HISTORY = 20_000
"""Events kept for watches that start at an older resourceVersion."""


class StoreError(Exception):
    """A request that the store refuses; `reason` and `code` are Kubernetes' own (metav1.StatusReason)."""

    reason = "InternalError"
    code = 500


class NotFoundError(StoreError):
    """There is no such object (404)."""

    reason, code = "NotFound", 404


class AlreadyExistsError(StoreError):
    """An object of that kind and name is there already (409)."""

    reason, code = "AlreadyExists", 409


class ConflictError(StoreError):
    """The object was changed since it was read (409)."""

    reason, code = "Conflict", 409


class InvalidError(StoreError):
    """The object breaks a rule (422)."""

    reason, code = "Invalid", 422


class ExpiredError(StoreError):
    """A watch asks for events that are no longer kept (410)."""

    reason, code = "Expired", 410


@dataclass(frozen=True)
class Event:
    """One change, `type` as in a Kubernetes watch: ADDED, MODIFIED or DELETED."""

    type: str
    resource: Resource
    object: Object
    version: int
    previous: Object | None = None
    """The object before a MODIFIED: what a watch with a selector needs to tell who left it. Read only."""


Key = tuple[str, str, str]
"""Kind, namespace ("" for kinds without), name."""


def now() -> str:
    """Return the present time as Kubernetes writes it (RFC 3339, seconds, UTC)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def namespace_of(obj: Object) -> str:
    """Return the namespace of `obj`, "" for a kind without."""
    return str(obj["metadata"].get("namespace") or "")


def matches(labels: Mapping[str, str] | None, selector: Mapping[str, str] | None) -> bool:
    """Tell whether `labels` hold every pair of the equality `selector` (an empty one matches nothing)."""
    return bool(selector) and all((labels or {}).get(k) == v for k, v in (selector or {}).items())


class Store:
    """All objects, their resource versions and the events of their changes."""

    def __init__(self) -> None:
        self._objects: dict[Key, Object] = {}
        self._version = 0
        self._history: deque[Event] = deque(maxlen=_HISTORY)
        self._queues: set[asyncio.Queue[Event]] = set()
        self._callbacks: list[Callable[[Event], None]] = []
        self._mutators: list[Callable[[Object], None]] = []

    def fork(self) -> "Store":
        """Return a copy that nobody watches: a dry run happens there."""
        copied = Store()
        copied._objects = dict(self._objects)
        copied._version = self._version
        copied._mutators = self._mutators
        return copied

    def before_create(self, mutator: Callable[[Object], None]) -> None:
        """Let `mutator` complete (defaults, injection) every object that is created, whoever creates it."""
        self._mutators.append(mutator)

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """Return one object; raises NotFoundError."""
        return copy.deepcopy(self._existing((kind, namespace, name)))

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return one object, or None where there is none."""
        found = self._objects.get((kind, namespace, name))
        return copy.deepcopy(found)

    def select(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Return the objects of a kind, sorted by namespace and name; `labels` narrows by equality."""
        found = [
            obj
            for (k, ns, _), obj in sorted(self._objects.items())
            if k == kind
            and namespace in (None, ns)
            and (labels is None or matches(obj["metadata"].get("labels"), labels))
        ]
        return copy.deepcopy(found)

    def owned(self, kind: str, owner: Object) -> list[Object]:
        """Return the objects of `kind` that name `owner` (by uid) among their ownerReferences."""
        uid = owner["metadata"]["uid"]
        return [
            obj
            for obj in self.select(kind, namespace_of(owner) or None)
            if any(ref.get("uid") == uid for ref in obj["metadata"].get("ownerReferences", []))
        ]

    def create(self, obj: Object) -> Object:
        """Add an object and return it as stored.

        Raises AlreadyExistsError, NotFoundError (its namespace is not there), InvalidError (no name).
        """
        obj = copy.deepcopy(obj)
        resource = _known(obj)
        meta = obj.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = f"{meta['generateName']}{uuid.uuid4().hex[:5]}"
        if not meta.get("name"):
            raise InvalidError(f"{resource.kind}: metadata.name: a name is required")
        if resource.namespaced:
            self._check_namespace(meta.setdefault("namespace", "default"))
        else:
            meta.pop("namespace", None)
        obj["apiVersion"] = resource.api_version
        key = _key(resource, obj)
        if key in self._objects:
            raise AlreadyExistsError(f'{resource.plural} "{meta["name"]}" already exists')
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=now(), generation=1)
        meta.pop("deletionTimestamp", None)
        for mutate in self._mutators:
            mutate(obj)
        return self._put("ADDED", resource, key, obj)

    def update(self, obj: Object, *, status: bool = False) -> Object:
        """Replace an object and return it as stored; with `status` only its status, otherwise all but that.

        Raises NotFoundError, and ConflictError where metadata.resourceVersion is given and is not the newest.
        """
        obj = copy.deepcopy(obj)
        resource = _known(obj)
        key = _key(resource, obj)
        old = self._existing(key)
        given = obj["metadata"].get("resourceVersion")
        if given and given != old["metadata"]["resourceVersion"]:
            raise ConflictError(
                f'Operation cannot be fulfilled on {resource.plural} "{key[2]}": the object has been '
                "modified; please apply your changes to the latest version and try again"
            )
        if status:
            new = copy.deepcopy(old)
            new["status"] = obj.get("status", {})
        else:
            new = obj
            new["apiVersion"] = resource.api_version
            for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
                if field in old["metadata"]:
                    new["metadata"][field] = old["metadata"][field]
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            new["metadata"]["generation"] = old["metadata"]["generation"]
            if "status" in old and "status" in resource.subresources:
                new["status"] = copy.deepcopy(old["status"])
            if new == old:
                return copy.deepcopy(old)
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] += 1
        if new == old:
            return copy.deepcopy(old)
        if new["metadata"].get("deletionTimestamp") and not self._waits(resource, new):
            return self.remove(new)
        return self._put("MODIFIED", resource, key, new)

    def delete(self, kind: str, namespace: str, name: str, grace: int | None = None) -> Object:
        """Delete an object and return it: at once, or marked where something has to end first.

        Pods, namespaces and whatever has finalizers get a deletionTimestamp; who ends them calls `remove`.
        `grace` is a pod's grace period in seconds, instead of its spec's. Raises NotFoundError.
        """
        key = (kind, namespace, name)
        resource = BY_KIND[kind]
        obj = copy.deepcopy(self._existing(key))
        if not self._waits(resource, obj):
            return self.remove(obj)
        meta = obj["metadata"]
        if kind == "Pod":
            period = grace if grace is not None else obj["spec"].get("terminationGracePeriodSeconds", 30)
            if "deletionTimestamp" in meta and period >= meta.get("deletionGracePeriodSeconds", period):
                return obj
            meta["deletionGracePeriodSeconds"] = period
        elif "deletionTimestamp" in meta:
            return obj
        if kind == "Namespace":
            obj["status"] = {"phase": "Terminating"}
        meta["deletionTimestamp"] = now()
        return self._put("MODIFIED", resource, key, obj)

    def remove(self, obj: Object) -> Object:
        """Take an object out for good, whatever it waits for; one that is gone already is no error."""
        resource = _known(obj)
        key = _key(resource, obj)
        old = self._objects.pop(key, None)
        return obj if old is None else self._record("DELETED", resource, copy.deepcopy(old))

    def mark(self, obj: Object, change: Callable[[Object], None], *, status: bool = False) -> Object | None:
        """Let `change` edit the newest `obj` and store it; None where it is gone or was made anew."""
        meta = obj["metadata"]
        newest = self.find(obj["kind"], namespace_of(obj), meta["name"])
        if newest is None or newest["metadata"]["uid"] != meta.get("uid", newest["metadata"]["uid"]):
            return None
        change(newest)
        return self.update(newest, status=status)

    def listen(self, callback: Callable[[Event], None]) -> None:
        """Call `callback` with every change from now on, in order; it must not block."""
        self._callbacks.append(callback)

    def open_watch(self, since: int | None = None) -> "Watch":
        """Return a watch of all changes after version `since` (None: from now on). Raises ExpiredError."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        if since is not None and since < self._version:
            if not self._history or self._history[0].version > since + 1:
                raise ExpiredError(f"too old resource version: {since} ({self._version})")
            for event in self._history:
                if event.version > since:
                    queue.put_nowait(event)
        self._queues.add(queue)
        return Watch(queue, lambda: self._queues.discard(queue))

    def _existing(self, key: Key) -> Object:
        try:
            return self._objects[key]
        except KeyError:
            raise NotFoundError(f'{BY_KIND[key[0]].plural} "{key[2]}" not found') from None

    def _check_namespace(self, name: str) -> None:
        found = self._objects.get(("Namespace", "", name))
        if found is None:
            raise NotFoundError(f'namespaces "{name}" not found')

    @staticmethod
    def _waits(resource: Resource, obj: Object) -> bool:
        return resource.kind in ("Pod", "Namespace") or bool(obj["metadata"].get("finalizers"))

    def _put(self, event: str, resource: Resource, key: Key, obj: Object) -> Object:
        previous = self._objects.get(key)
        self._objects[key] = obj
        return self._record(event, resource, obj, previous)

    def _record(self, kind: str, resource: Resource, obj: Object, previous: Object | None = None) -> Object:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        event = Event(kind, resource, copy.deepcopy(obj), self._version, previous)
        self._history.append(event)
        for queue in self._queues:
            queue.put_nowait(event)
        for callback in self._callbacks:
            callback(event)
        return copy.deepcopy(obj)


class Watch:
    """Changes in order; `async with` it, and read with `next`."""

    def __init__(self, queue: "asyncio.Queue[Event]", close: Callable[[], None]) -> None:
        self._queue = queue
        self._close = close

    async def next(self, timeout: float | None = None) -> Event | None:
        """Return the next change, or None after `timeout` seconds without one."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout)
        except TimeoutError:
            return None

    def drain(self) -> Iterator[Event]:
        """Yield the changes that are there already."""
        while not self._queue.empty():
            yield self._queue.get_nowait()

    async def __aenter__(self) -> "Watch":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()


def _known(obj: Object) -> Resource:
    resource = resource_of(obj)
    if resource is None:
        raise InvalidError(f"no matches for kind {obj.get('kind')!r} in version {obj.get('apiVersion')!r}")
    return resource


def _key(resource: Resource, obj: Object) -> Key:
    return (resource.kind, namespace_of(obj) if resource.namespaced else "", obj["metadata"]["name"])
