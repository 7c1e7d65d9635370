"""Watches: changes as a stream of JSON lines, from a resourceVersion on, narrowed by a selector.

Form: metav1.WatchEvent; bookmarks and sendInitialEvents as in Kubernetes' API concepts.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable

from aiohttp import web

from local.apiserver.errors import ApiError
from local.apiserver.requests import Target
from local.apiserver.selectors import Predicate
from local.kinds import Object
from local.store import Event, Store, Watch, namespace_of

_BOOKMARK_SECONDS = 60.0
_INITIAL_END = "k8s.io/initial-events-end"

View = Callable[[Object], Object]
"""How the client wants to see an object: in its version, as a Table …"""


class Stream:
    """One client's watch."""

    def __init__(
        self, store: Store, target: Target, matches: Predicate, view: View, *, bookmarks: bool, seconds: float
    ) -> None:
        self._store = store
        self._target = target
        self._matches = matches
        self._view = view
        self._bookmarks = bookmarks
        self._seconds = seconds

    def open(self, version: str, *, initial: bool) -> tuple[Watch, list[Object], int]:
        """Return the watch, the objects to send first, and the version that both begin at.

        `version` is the request's resourceVersion: "" and "0" begin with all objects of now. `initial` is
        sendInitialEvents. Raises local.store.ExpiredError where the history does not reach back that far.
        """
        present = self._store.version
        if version in ("", "0") or initial:
            return self._store.open_watch(present), self._present(), present
        return self._store.open_watch(int(version)), [], int(version)

    async def run(
        self, response: web.StreamResponse, opened: tuple[Watch, list[Object], int], *, initial: bool
    ) -> None:
        """Send changes until the client goes or its time is over."""
        opened_watch, objects, version = opened
        async with opened_watch as watch:
            for obj in objects:
                await self._send(response, "ADDED", self._view(obj))
            if initial:
                await self._bookmark(response, version, {_INITIAL_END: "true"})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._follow(response, watch, version)

    async def _follow(self, response: web.StreamResponse, watch: Watch, version: int) -> None:
        while True:
            event = await watch.next(_BOOKMARK_SECONDS)
            if event is None:
                if self._bookmarks:
                    await self._bookmark(response, version, {})
                continue
            version = event.version
            kind = self._kind(event)
            if kind is not None:
                await self._send(response, kind, self._view(event.object))

    def _present(self) -> list[Object]:
        found = self._store.select(self._target.resource.kind, self._target.namespace)
        return [obj for obj in found if self._named(obj) and self._matches(obj)]

    def _named(self, obj: Object) -> bool:
        return self._target.name in (None, obj["metadata"]["name"])

    def _kind(self, event: Event) -> str | None:
        """Return what a change is to this client: an object may enter or leave the selection."""
        target, obj = self._target, event.object
        if event.resource is not target.resource or target.namespace not in (None, namespace_of(obj)):
            return None
        if not self._named(obj):
            return None
        inside = self._matches(obj)
        if event.type != "MODIFIED" or event.previous is None:
            return event.type if inside else None
        before = self._matches(event.previous)
        if inside:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else None

    async def _bookmark(
        self, response: web.StreamResponse, version: int, annotations: dict[str, str]
    ) -> None:
        metadata: Object = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        obj = {
            "kind": self._target.resource.kind,
            "apiVersion": self._target.api_version,
            "metadata": metadata,
        }
        await self._send(response, "BOOKMARK", self._view(obj))

    @staticmethod
    async def _send(response: web.StreamResponse, kind: str, obj: Object) -> None:
        line = json.dumps({"type": kind, "object": obj}, separators=(",", ":"))
        await response.write(line.encode() + b"\n")


async def refuse(response: web.StreamResponse, error: ApiError) -> None:
    """End a stream that has begun with an error, as clients expect it."""
    line = json.dumps({"type": "ERROR", "object": error.status})
    await response.write(line.encode() + b"\n")
