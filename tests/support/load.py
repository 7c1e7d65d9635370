"""A closed loop of reads, that counts what a client counts: answers by status, and requests that got none."""

import asyncio
import contextlib
import threading
from collections import Counter

import aiohttp


class ClosedLoop:
    """`users` readers without a pause, in a thread of their own, for the length of a `with` block."""

    def __init__(self, urls: list[str], headers: dict[str, str], users: int = 8) -> None:
        self._urls = urls
        self._headers = headers
        self._users = users
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.answers: Counter[str] = Counter()
        self.seconds = 0.0

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.total / self.seconds

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        limit = aiohttp.ClientTimeout(total=15)
        async with aiohttp.ClientSession(headers=self._headers, timeout=limit) as session:
            await asyncio.gather(*(self._user(session, number) for number in range(self._users)))
        self.seconds = loop.time() - start

    async def _user(self, session: aiohttp.ClientSession, number: int) -> None:
        while not self._stop.is_set():
            number += 1
            try:
                async with session.get(self._urls[number % len(self._urls)]) as answer:
                    await answer.read()
                    self.answers[str(answer.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.answers[type(error).__name__] += 1

    def __enter__(self) -> "ClosedLoop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        with contextlib.suppress(ZeroDivisionError):
            print(f"{self.total} requests, {self.rate:.0f}/s: {dict(self.answers)}")
