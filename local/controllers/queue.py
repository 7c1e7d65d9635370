"""The queue between changes of objects and their reconciliation (client-go's workqueue)."""

import asyncio
from collections import defaultdict

Key = tuple[str, str]
"""Namespace ("" for kinds without) and name of an object to reconcile."""

_FIRST_RETRY = 0.05
_LAST_RETRY = 30.0


class WorkQueue:
    """Keys to reconcile: each waits once, however often it was added, and some only from a later time on."""

    def __init__(self) -> None:
        self._ready: dict[Key, None] = {}
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._failures: defaultdict[Key, int] = defaultdict(int)
        self._filled = asyncio.Event()

    def add(self, key: Key) -> None:
        """Have `key` reconciled as soon as possible."""
        self._ready[key] = None
        self._filled.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have `key` reconciled in `seconds`, or earlier where that was asked for before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, seconds)
        planned = self._later.get(key)
        if planned is not None:
            if planned.when() <= when:
                return
            planned.cancel()
        self._later[key] = loop.call_at(when, self._due, key)

    def retry(self, key: Key) -> float:
        """Have `key` reconciled again after a failure; return the seconds until then, doubled each time."""
        delay = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** self._failures[key])
        self._failures[key] += 1
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """Note that `key` was reconciled: its next failure is a first one."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key and take it out."""
        while not self._ready:
            self._filled.clear()
            await self._filled.wait()
        key = next(iter(self._ready))
        del self._ready[key]
        return key

    def close(self) -> None:
        """Cancel what is planned for later."""
        for handle in self._later.values():
            handle.cancel()
        self._later.clear()

    def _due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.add(key)
