"""What every controller is: changes of objects become keys, and each key is reconciled."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from local.controllers.queue import Key, WorkQueue
from local.kinds import BY_KIND, Object
from local.store import ConflictError, Event, Store, namespace_of

log = logging.getLogger(__name__)


def key_of(obj: Object) -> Key:
    """Return the key of an object."""
    return namespace_of(obj), obj["metadata"]["name"]


class Controller(ABC):
    """A loop that brings the objects of one kind to what their specs ask for."""

    watches: ClassVar[tuple[str, ...]]
    """The kinds whose changes it looks at; with those of all objects at its start it sees the whole state."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.queue = WorkQueue()
        store.listen(self._notice)

    @abstractmethod
    def keys(self, event: Event) -> Iterable[Key]:
        """Return what has to be reconciled after a change; it must not change anything itself."""

    @abstractmethod
    def reconcile(self, key: Key) -> float | None:
        """Bring one object to its spec; return the seconds after which to look again by itself, if any."""

    async def run(self) -> None:
        """Reconcile until cancelled. What fails is logged and tried again, later each time."""
        for kind in self.watches:
            for obj in self.store.select(kind):
                self._notice_object(obj)
        try:
            while True:
                self._process(await self.queue.get())
        finally:
            self.queue.close()

    def _process(self, key: Key) -> None:
        try:
            again = self.reconcile(key)
        except ConflictError:
            self.queue.retry(key)
        except Exception:
            delay = self.queue.retry(key)
            log.exception("%s: %s/%s: tried again in %.2f s", type(self).__name__, *key, delay)
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)

    def _notice(self, event: Event) -> None:
        if event.resource.kind in self.watches:
            for key in self.keys(event):
                self.queue.add(key)

    def _notice_object(self, obj: Object) -> None:
        self._notice(Event("ADDED", BY_KIND[obj["kind"]], obj, self.store.version))
