"""Bringing one running Envoy to a new configuration without a lost request.

Files have no order among themselves, so each step waits until Envoy has taken the one before: clusters
first, then routes and listeners, and what nobody refers to any more goes last (make before break,
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-docs/xds_protocol#eventual-consistency-considerations).
"""

import asyncio
import contextlib
import logging

from local.istiod.admin import Admin, ProxyDownError, ProxySlowError, Versions
from local.istiod.files import CDS_STAT, LDS_STAT, ProxyFiles, response, routes_stat
from local.istiod.translate import Configuration
from local.istiod.values import Json

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.01
_ACCEPT_SECONDS = 5.0
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)


class RejectedError(Exception):
    """Envoy refuses a part of its configuration and keeps what it had; the text names the part."""


class ProxyPusher:
    """Keeps one proxy's files, and the Envoy that reads them, at the newest configuration."""

    def __init__(self, name: str, files: ProxyFiles, admin: Admin, config: Configuration) -> None:
        """Write `config` for an Envoy that is about to start."""
        self.name = name
        self._files = files
        self._admin = admin
        self._wanted = config
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._reported: list[str] = []
        self._refused: Configuration | None = None
        files.write_all(config)
        self._clusters = dict(config.clusters)
        self._listeners = dict(config.listeners)
        self._routes = dict(config.routes)

    @property
    def is_settled(self) -> bool:
        """Whether Envoy has the newest configuration, or has refused it, or does not run."""
        return self._idle.is_set()

    def start_with(self, config: Configuration) -> Configuration:
        """Return what an Envoy that starts again gets: what is in use where `config` was refused."""
        if config != self._refused:
            return config
        return Configuration(self._clusters, self._listeners, self._routes)

    def want(self, config: Configuration) -> None:
        """Take a new goal."""
        if config != self._wanted:
            self._wanted = config
            self._idle.clear()
            self._wake.set()

    async def settled(self) -> None:
        """Wait until is_settled."""
        await self._idle.wait()

    async def is_ready(self) -> bool:
        """Tell whether Envoy serves, with clusters, listeners and routes as in the files."""
        if not await self._admin.is_live():
            return False
        try:
            versions = await self._admin.versions()
        except (ProxyDownError, ProxySlowError):
            return False
        wanted = {
            CDS_STAT: response(self._clusters.values())[0],
            LDS_STAT: response(self._listeners.values())[0],
            **{routes_stat(name): response([routes])[0] for name, routes in self._routes.items()},
        }
        missing = [stat for stat, version in wanted.items() if versions.accepted.get(stat) != version]
        refused = [stat for stat in missing if versions.rejected.get(stat)]
        if refused and refused != self._reported:
            log.error("%s: Envoy refuses %s; its log says why", self.name, ", ".join(refused))
        self._reported = refused
        return not missing and versions.warming == 0

    async def drain(self) -> None:
        """Begin to end the inbound connections; no error where Envoy is gone."""
        with contextlib.suppress(ProxyDownError, ProxySlowError):
            await self._admin.drain()

    async def run(self) -> None:
        """Follow the goal until cancelled."""
        failures = 0
        while True:
            if failures:
                wait = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS)) - 1]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)
            else:
                await self._wake.wait()
            self._wake.clear()
            goal = self._wanted
            try:
                await self._move_to(goal)
                failures = 0
            except ProxyDownError:
                self._write_unattended(goal)
                failures = 0
            except RejectedError as error:
                self._refused = goal
                log.error(  # noqa: TRY400 - where in this program says nothing of the cause
                    "%s: Envoy refuses %s and keeps what it had; its log says why", self.name, error
                )
                failures = 0
            except (ProxySlowError, OSError) as error:
                failures += 1
                log.warning("%s: not all of the configuration is in yet: %s", self.name, error)
            if not failures and goal is self._wanted:
                self._idle.set()

    def _write_unattended(self, goal: Configuration) -> None:
        self._files.write_all(goal)
        self._clusters = dict(goal.clusters)
        self._listeners, self._routes = dict(goal.listeners), dict(goal.routes)

    async def _move_to(self, goal: Configuration) -> None:
        before = await self._admin.versions()
        await self._add(goal, before)
        await self._switch(goal, before)
        await self._remove(goal)

    async def _add(self, goal: Configuration, before: Versions) -> None:
        """New and changed clusters; those that go stay until the routes have left them."""
        clusters = {**self._clusters, **goal.clusters}
        if clusters != self._clusters:
            await self._put_clusters(clusters, before)

    async def _put_clusters(self, clusters: dict[str, Json], before: Versions) -> None:
        version = self._files.write_clusters(clusters.values())
        try:
            await self._accepted({CDS_STAT: version}, before)
        except RejectedError:
            self._files.write_clusters(self._clusters.values())
            raise
        self._clusters = clusters

    async def _switch(self, goal: Configuration, before: Versions) -> None:
        """Routes, then listeners."""
        for name, routes in goal.routes.items():
            old = self._routes.get(name)
            if old == routes:
                continue
            version = self._files.write_routes(name, routes)
            if old is not None:
                await self._put_routes(name, version, old, before)
            self._routes[name] = routes
        if goal.listeners == self._listeners:
            return
        version = self._files.write_listeners(goal.listeners.values())
        try:
            await self._accepted({LDS_STAT: version}, before)
        except RejectedError:
            self._files.write_listeners(self._listeners.values())
            raise
        self._listeners = dict(goal.listeners)

    async def _put_routes(self, name: str, version: str, old: Json, before: Versions) -> None:
        try:
            await self._accepted({routes_stat(name): version}, before)
        except RejectedError:
            self._files.write_routes(name, old)
            raise

    async def _remove(self, goal: Configuration) -> None:
        if self._clusters != goal.clusters:
            await self._put_clusters(dict(goal.clusters), await self._admin.versions())
        for name in self._routes.keys() - goal.routes.keys():
            self._files.remove_routes(name)
            del self._routes[name]

    async def _accepted(self, expected: dict[str, str], before: Versions) -> None:
        """Wait until Envoy has these versions and no cluster warms.

        Raises RejectedError, ProxyDownError, ProxySlowError.
        """
        deadline = asyncio.get_running_loop().time() + _ACCEPT_SECONDS
        while True:
            now = await self._admin.versions()
            missing = [stat for stat, version in expected.items() if now.accepted.get(stat) != version]
            if not missing and now.warming == 0:
                return
            for stat in missing:
                if now.rejected.get(stat, 0) > before.rejected.get(stat, 0):
                    raise RejectedError(stat)
            if asyncio.get_running_loop().time() > deadline:
                raise ProxySlowError(f"{', '.join(missing) or 'clusters'} after {_ACCEPT_SECONDS:.0f} s")
            await asyncio.sleep(_POLL_SECONDS)
