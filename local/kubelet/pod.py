"""One pod: its containers in their order, its status, its end."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Iterable

from local.controllers.base import key_of
from local.kinds import Object
from local.kubelet import launch, volumes
from local.kubelet.addresses import Addresses
from local.kubelet.container import Container, restart_policy
from local.kubelet.deadline import Deadline
from local.kubelet.folders import PodFolder
from local.kubelet.runtime import COMPONENT, PROXY, Runtime
from local.kubelet.status import is_sidecar, pod_status
from local.kubelet.volumes import VolumeError
from local.store import now

log = logging.getLogger(__name__)

SCHEDULER = "default-scheduler"

_SIDECAR_GRACE = 2.0
"""Seconds that sidecars have at least, after the applications took all of the grace period."""
_DRAIN = 2.0


class PodWorker:
    """Runs a pod from its creation to its deletion."""

    def __init__(self, pod: Object, runtime: Runtime, addresses: Addresses, node: str) -> None:
        self.uid: str = pod["metadata"]["uid"]
        self.folder = PodFolder(runtime.settings, pod)
        self.containers: dict[str, Container] = {}
        self._pod = pod
        self._runtime = runtime
        self._addresses = addresses
        self._node = node
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended = False
        self._terminating = asyncio.Event()
        self._deadline: Deadline | None = None
        self._hooks = True

    # What others ask for

    def terminate(self, grace: float, *, hooks: bool = True) -> None:
        """End the pod within `grace` seconds; a shorter time than before brings the end forward."""
        if self._deadline is None:
            self._deadline = Deadline(grace)
            self._hooks = hooks
        self._deadline.shorten(grace)
        self._terminating.set()

    def poke(self) -> None:
        """A ConfigMap or Secret has changed: renew the volumes, and let containers that wait look again."""
        if any(container.state.running for container in self.containers.values()):
            # What is gone stays in the volume until the pod starts anew, as on a cluster.
            with contextlib.suppress(VolumeError):
                volumes.set_up(self._runtime.store, self._pod, self.folder)
        for container in self.containers.values():
            container.poke()

    # Life

    async def run(self) -> None:
        """Run the pod until it was terminated and nothing of it is left."""
        try:
            await asyncio.to_thread(shutil.rmtree, self.folder.path, ignore_errors=True)
            if self._schedule():
                await self._live_or_end()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._addresses.release(self.uid)

    async def _live_or_end(self) -> None:
        life = asyncio.create_task(self._live())
        told = asyncio.create_task(self._terminating.wait())
        try:
            limit = self._pod["spec"].get("activeDeadlineSeconds")
            done, _ = await asyncio.wait({life, told}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if life in done:
                life.result()
            elif told not in done:
                await self._cancel(life)
                await self._exceed()
            if not self._terminating.is_set():
                self._ended = True
                self._publish()
                await told
            else:
                await self._cancel(life)
                await self._stop(self._the_deadline())
        finally:
            await self._cancel(life)
            await self._cancel(told)

    @staticmethod
    async def _cancel(task: "asyncio.Task[object]") -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _the_deadline(self) -> Deadline:
        return self._deadline or Deadline(0)

    async def _exceed(self) -> None:
        """End a pod that ran longer than spec.activeDeadlineSeconds."""
        text = "Pod was active on the node longer than the specified deadline"
        self._runtime.recorder.normal(COMPONENT, self._pod, "DeadlineExceeded", text)
        self._pod.setdefault("status", {}).update(reason="DeadlineExceeded", message=text)
        await self._stop(Deadline(self._pod["spec"].get("terminationGracePeriodSeconds", 30)))

    def _schedule(self) -> bool:
        """Give the pod its node and its address, and make its containers; False where the pod is gone."""
        spec, settings = self._pod["spec"], self._runtime.settings
        ports = [number for c in self._all() for number in launch.ports_of(c)]
        host = settings.ingress_host
        address = host if spec.get("hostNetwork") else self._addresses.take(self.uid, ports)
        self._pod["spec"]["nodeName"] = self._node
        stored = self._runtime.store.mark(
            self._pod, lambda newest: newest["spec"].update(nodeName=self._node)
        )
        if stored is None:
            return False
        self._pod = stored
        self._pod["status"] = {
            **(stored.get("status") or {}),
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now(),
        }
        where = "/".join(key_of(self._pod))
        text = f"Successfully assigned {where} to {self._node}"
        self._runtime.recorder.normal(SCHEDULER, self._pod, "Scheduled", text)
        for container in self._all():
            self.containers[container["name"]] = Container(
                container,
                self._runtime,
                self.folder,
                lambda: self._pod,
                self._publish,
                restart_policy(self._pod, container),
            )
        for container in spec["containers"]:
            reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
            self.containers[container["name"]].state.state = {"waiting": {"reason": reason}}
        self._publish()
        return True

    def _all(self) -> list[Object]:
        spec = self._pod["spec"]
        return [*(spec.get("initContainers") or []), *spec["containers"]]

    def _sidecars(self) -> list[Container]:
        """Return what runs beside the applications, in the order of its start."""
        spec = self._pod["spec"]
        names = [c["name"] for c in spec.get("initContainers") or [] if is_sidecar(c)]
        if len(spec["containers"]) > 1:  # Istio's proxy as an ordinary container goes before the others, too.
            names += [c["name"] for c in spec["containers"] if c["name"] == PROXY]
        return [self.containers[name] for name in names]

    def _start(self, container: Container) -> "asyncio.Task[None]":
        task = asyncio.create_task(container.run(), name=container.name)
        self._tasks[container.name] = task
        return task

    async def _live(self) -> None:
        """Start the containers in their order and wait until the pod has ended by itself."""
        if not await self._initialize():
            await self._stop_all(self._sidecars(), _SIDECAR_GRACE)
            return
        sidecars = self._sidecars()
        for proxy in sidecars:
            if proxy.name not in self._tasks:
                await self._start_beside(proxy)
        apps = [self.containers[c["name"]] for c in self._pod["spec"]["containers"]]
        await asyncio.gather(*(asyncio.shield(self._start(app)) for app in apps if app not in sidecars))
        await self._stop_all(sidecars, _SIDECAR_GRACE)

    async def _initialize(self) -> bool:
        """Run the init containers one after the other; False where one has failed for good."""
        for spec in self._pod["spec"].get("initContainers") or []:
            container = self.containers[spec["name"]]
            if is_sidecar(spec):
                await self._start_beside(container)
            else:
                await asyncio.shield(self._start(container))
                if container.state.exit_code != 0:
                    return False
        return True

    async def _start_beside(self, container: Container) -> None:
        """Start a sidecar and wait until it has started up."""
        task = self._start(container)
        started = asyncio.create_task(container.started.wait())
        try:
            await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()

    # The end

    async def _stop_all(self, sidecars: Iterable[Container], grace: float) -> None:
        await self._stop_sidecars(list(sidecars), Deadline(grace))

    async def _stop(self, deadline: Deadline) -> None:
        """End the applications together, then the sidecars, the first one last."""
        sidecars = self._sidecars()
        apps = [container for container in self.containers.values() if container not in sidecars]
        await asyncio.gather(*(app.stop(deadline, hooks=self._hooks) for app in apps))
        await self._finish(apps)
        deadline_after = Deadline(_SIDECAR_GRACE) if self._hooks else deadline
        await self._stop_sidecars(sidecars, deadline_after)

    async def _stop_sidecars(self, sidecars: list[Container], deadline: Deadline) -> None:
        for sidecar in reversed(sidecars):
            if sidecar.name == PROXY and sidecar.state.running and self._hooks:
                with contextlib.suppress(Exception):  # Draining is a courtesy: the proxy ends in any case.
                    await asyncio.wait_for(self._runtime.istiod.drain(self._pod), _DRAIN)
            await sidecar.stop(deadline, hooks=self._hooks)
            await self._finish([sidecar])

    async def _finish(self, containers: list[Container]) -> None:
        tasks = [self._tasks[c.name] for c in containers if c.name in self._tasks]
        await asyncio.gather(*tasks, return_exceptions=True)

    # Status

    def _publish(self) -> None:
        """Write the pod's status as it is now, if it has changed."""
        states = {name: container.state for name, container in self.containers.items()}
        self._pod["status"] = pod_status(self._pod, states, ended=self._ended)
        status = self._pod["status"]

        def change(newest: Object) -> None:
            newest["status"] = status

        stored = self._runtime.store.mark(self._pod, change, status=True)
        if stored is not None:
            self._pod = stored
