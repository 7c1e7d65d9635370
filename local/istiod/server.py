"""The control plane: watches the store and keeps every proxy's configuration up to date."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from local.files import write_atomically
from local.istiod import bootstrap, environment
from local.istiod.admin import Admin
from local.istiod.files import ProxyFiles
from local.istiod.model import Proxy, Snapshot, proxied_pods
from local.istiod.push import ProxyPusher
from local.istiod.translate import Folder, configuration, egress_destinations
from local.kinds import Object
from local.settings import Settings
from local.store import Store, namespace_of

log = logging.getLogger(__name__)

_KINDS = {
    "Pod",
    "Service",
    "EndpointSlice",
    "VirtualService",
    "DestinationRule",
    "Gateway",
    "ServiceEntry",
}
_DEBOUNCE_SECONDS = 0.05
"""One change seldom comes alone: wait so long for others (Istio: PILOT_DEBOUNCE_AFTER)."""

_FIRST_EGRESS_PORT = 15100

_HOSTS_GRACE = timedelta(seconds=4)
"""Helm creates a ServiceEntry a moment after the Deployment that needs it."""


class Istiod:
    """Configuration, readiness, environment and end of every proxy."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._pushers: dict[str, ProxyPusher] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._egress_ports: dict[tuple[str, int], int] = {}
        self._seen = 0
        self._changed = asyncio.Condition()

    def proxy_argv(self, pod: Object) -> list[str]:
        """Write the proxy's files and return Envoy's command line.

        `pod` has an address (status.podIP). Call it in the event loop, before each start of the container.
        Raises bootstrap.EnvoyMissingError.
        """
        proxy, uid = Proxy.of(pod), pod["metadata"]["uid"]
        folder = self._folder(pod)
        files = ProxyFiles(folder)
        snapshot = self._snapshot()
        config = configuration(snapshot, proxy, self._settings, folder, self._egress_ports)
        if uid in self._pushers:
            config = self._pushers[uid].start_with(config)
            self._forget(uid)
        write_atomically(folder.bootstrap, json.dumps(bootstrap.bootstrap(proxy, folder), indent=1))
        name = f"{proxy.namespace}/{proxy.name}"
        pusher = ProxyPusher(name, files, Admin(self._http(), proxy.address), config)
        self._pushers[uid] = pusher
        self._tasks[uid] = asyncio.get_running_loop().create_task(pusher.run(), name=f"push to {name}")
        return bootstrap.command(folder)

    async def proxy_ready(self, pod: Object) -> bool:
        """Tell whether the proxy serves and has all of its configuration.

        A new pod also waits for the services that its applications name, as long as they may be on their way.
        """
        pusher = self._pushers.get(pod["metadata"]["uid"])
        if pusher is None or not await pusher.is_ready():
            return False
        created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        if datetime.now(UTC) - created > _HOSTS_GRACE:
            return True
        return environment.all_hosts_known(pod, self._store, self._snapshot())

    async def drain(self, pod: Object) -> None:
        """Let the proxy end its inbound connections, over bootstrap.DRAIN_SECONDS, before it is stopped.

        The caller has taken the pod out of the endpoints. What the application sends is not touched.
        """
        pusher = self._pushers.get(pod["metadata"]["uid"])
        if pusher is not None:
            await pusher.drain()

    def proxy_env(self, pod: Object) -> dict[str, str]:
        """Return the variables that lead the application's traffic through its sidecar.

        {} for a pod without one. URLs of TCP services in the application's own variables are rewritten.
        """
        snapshot = self._snapshot()
        return environment.proxy_env(pod, self._store, snapshot, self._egress_ports)

    async def settled(self, timeout: float) -> bool:
        """Wait until every running proxy has what the store holds now; False after `timeout` seconds."""
        goal = self._store.version

        async def wait() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self._seen >= goal)
            for pusher in list(self._pushers.values()):
                await pusher.settled()

        try:
            await asyncio.wait_for(wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Follow the store until cancelled; then the proxies keep what they have."""
        try:
            async with self._store.open_watch() as watch:
                await self._update()
                while True:
                    event = await watch.next()
                    events = [event] if event else []
                    if any(e.resource.kind in _KINDS for e in events):
                        await asyncio.sleep(_DEBOUNCE_SECONDS)
                    events += watch.drain()
                    if any(e.resource.kind in _KINDS for e in events):
                        await self._update()
                    else:
                        await self._mark_seen(max((e.version for e in events), default=0))
        finally:
            for uid in list(self._pushers):
                self._forget(uid)
            if self._session is not None:
                await self._session.close()
                self._session = None

    async def _update(self) -> None:
        """Bring every known proxy to the store's present state."""
        version = self._store.version
        snapshot = self._snapshot()
        pods = {pod["metadata"]["uid"]: pod for pod in proxied_pods(self._store)}
        for uid in [uid for uid in self._pushers if uid not in pods]:
            self._forget(uid)
        for uid, pusher in self._pushers.items():
            try:
                pod = pods[uid]
                config = configuration(
                    snapshot, Proxy.of(pod), self._settings, self._folder(pod), self._egress_ports
                )
            except (KeyError, ValueError, TypeError, AttributeError):
                # An object that admission should have refused: this proxy keeps what it has.
                log.exception("%s: its configuration cannot be made", pusher.name)
                continue
            pusher.want(config)
        await self._mark_seen(version)

    async def _mark_seen(self, version: int) -> None:
        async with self._changed:
            self._seen = max(self._seen, version)
            self._changed.notify_all()

    def _snapshot(self) -> Snapshot:
        """Return the store's state; TCP hosts that are new get a port, the others keep theirs."""
        snapshot = Snapshot.read(self._store)
        for destination in egress_destinations(snapshot):
            self._egress_ports.setdefault(destination, _FIRST_EGRESS_PORT + len(self._egress_ports))
        return snapshot

    def _folder(self, pod: Object) -> Folder:
        name = f"{namespace_of(pod)}_{pod['metadata']['name']}"
        return Folder(Path(self._settings.pods / name / "envoy"))

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # A kept connection may be that of an Envoy that has ended since.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        return self._session

    def _forget(self, uid: str) -> None:
        self._pushers.pop(uid, None)
        task = self._tasks.pop(uid, None)
        if task is not None:
            task.cancel()
