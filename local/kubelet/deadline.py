"""A moment by which something has to end, that can still be brought forward."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Deadline:
    """The end of a grace period."""

    def __init__(self, seconds: float) -> None:
        self._at = asyncio.get_running_loop().time() + seconds
        self._waits: set[asyncio.Timeout] = set()

    def shorten(self, seconds: float) -> None:
        """Bring the deadline forward to `seconds` from now; a later one changes nothing."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self._at:
            self._at = at
            for wait in self._waits:
                if not wait.expired():
                    wait.reschedule(at)

    @asynccontextmanager
    async def limit(self, at_least: float = 0.0) -> AsyncIterator[None]:
        """Cancel what is inside at the deadline, but not before `at_least` seconds. Raises TimeoutError."""
        at = max(self._at, asyncio.get_running_loop().time() + at_least)
        async with asyncio.timeout_at(at) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)
