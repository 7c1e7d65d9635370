"""Startup, liveness and readiness probes of a running container."""

import asyncio
from collections.abc import Awaitable, Callable

from local.kinds import Object
from local.kubelet.handlers import HandlerError

_EARLY = 0.1
"""Seconds between the checks of a container that has just been started and never answered."""
_EARLY_FOR = 15.0

Check = Callable[[Object, float], Awaitable[None]]
"""Does what a probe says within some seconds; raises HandlerError."""


class Probe:
    """One probe with Kubernetes' defaults (v1.Probe)."""

    def __init__(self, spec: Object) -> None:
        self.spec = spec
        self.delay = float(spec.get("initialDelaySeconds") or 0)
        self.period = float(spec.get("periodSeconds") or 10)
        self.timeout = float(spec.get("timeoutSeconds") or 1)
        self.success = int(spec.get("successThreshold") or 1)
        self.failure = int(spec.get("failureThreshold") or 3)

    async def watch(
        self, check: Check, changed: Callable[[bool], None], failed: Callable[[str], None], *, early: bool
    ) -> None:
        """Check for ever; `changed` hears each result that the thresholds make, `failed` each failure's text.

        `early`: until the first success, and not for long, checks come at once and often, so that a container
        is found ready when it is. Of their failures only one a period counts, as if the others were not made.
        """
        await asyncio.sleep(self.delay)
        loop = asyncio.get_running_loop()
        began = counted = loop.time()
        result: bool | None = None
        row, last = 0, None
        while True:
            at = loop.time()
            error = await self._try(check)
            quick = early and last is not True and at - began < _EARLY_FOR
            if error is None or not quick or at - counted >= self.period:
                counted = at
                row = row + 1 if last is (error is None) else 1
                last = error is None
                if error is not None:
                    failed(error)
                if row >= (self.success if last else self.failure) and result is not last:
                    result = last
                    changed(last)
            pause = _EARLY if quick and last is not True else self.period
            await asyncio.sleep(max(0.0, at + pause - loop.time()))

    async def _try(self, check: Check) -> str | None:
        try:
            await check(self.spec, self.timeout)
        except HandlerError as error:
            return str(error)
        return None
