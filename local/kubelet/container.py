"""One container of a pod: from its image to its end, with restarts, probes and hooks."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from local.images.image import Image
from local.images.store import ImageNotFoundError
from local.kinds import Object
from local.kubelet import launch
from local.kubelet.deadline import Deadline
from local.kubelet.environment import ConfigError
from local.kubelet.folders import PodFolder
from local.kubelet.handlers import HandlerError, handle
from local.kubelet.launch import CreateError, Launch
from local.kubelet.probes import Probe
from local.kubelet.runtime import COMPONENT, PROXY, Runtime
from local.kubelet.status import ContainerState, is_sidecar
from local.kubelet.volumes import VolumeError
from local.process import ManagedProcess
from local.store import now

log = logging.getLogger(__name__)

_IMAGE_POLL = 0.5
_CONFIG_POLL = 10.0
_PROXY_FIRST_POLL = 0.05
_PROXY_POLL = 2.0
_PROXY_FAILURES = 4
_LEAST_GRACE = 2.0
"""Seconds that a process has at least between SIGTERM and SIGKILL, when a hook took all of the grace."""
_MESSAGE_LIMIT = 2048


class Container:
    """A container: `run` is its life, `state` what is known of it."""

    def __init__(  # noqa: PLR0917
        self,
        spec: Object,
        runtime: Runtime,
        folder: PodFolder,
        pod: Callable[[], Object],
        changed: Callable[[], None],
        restart_policy: str,
    ) -> None:
        """Make one; `pod` gives the newest pod, `changed` is called after every change of `state`."""
        self.spec = spec
        self.name: str = spec["name"]
        self.state = ContainerState(self.name, spec.get("image", ""))
        self.started = asyncio.Event()
        self.launch: Launch | None = None
        self._runtime = runtime
        self._folder = folder
        self._pod = pod
        self._changed = changed
        self._policy = restart_policy
        self._image: Image | None = None
        self._process: ManagedProcess | None = None
        self._exited = asyncio.Event()
        self._stop = asyncio.Event()
        self._poke = asyncio.Event()
        self._crashes = 0
        self._ran_before = False
        self._restarting: asyncio.Task[None] | None = None

    # Life

    async def run(self) -> None:
        """Run until the container has ended for good, or was stopped."""
        while not self._stop.is_set():
            ready = await self._prepare()
            if ready is None:
                return
            self.launch = ready
            await self._run_once(ready)
            if self._stop.is_set() or not self._restarts():
                return
            await self._wait_to_restart()

    def poke(self) -> None:
        """Look again at once: a ConfigMap or Secret that it may wait for has changed."""
        self._poke.set()

    def _restarts(self) -> bool:
        return self._policy == "Always" or (self._policy == "OnFailure" and self.state.exit_code != 0)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for `event`, for the stop, or for so long."""
        waits = {asyncio.create_task(event.wait()), asyncio.create_task(self._stop.wait())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _set_waiting(self, reason: str, message: str = "") -> None:
        waiting = {"reason": reason, **({"message": message} if message else {})}
        if "terminated" in self.state.state:
            self.state.last_state = self.state.state
        self.state.state = {"waiting": waiting}
        self._changed()

    def _event(self, reason: str, message: str, *, warning: bool = False) -> None:
        kind = "initContainers" if self._is_init() else "containers"
        field = f"spec.{kind}{{{self.name}}}"
        tell = self._runtime.recorder.warning if warning else self._runtime.recorder.normal
        tell(COMPONENT, self._pod(), reason, message, field)

    def _is_init(self) -> bool:
        return any(c["name"] == self.name for c in self._pod()["spec"].get("initContainers") or [])

    # Before the start

    async def _prepare(self) -> Launch | None:
        """Get image, volumes and environment together; None where the container was stopped meanwhile."""
        if not self._ran_before:
            self._set_waiting("ContainerCreating")
        while not self._stop.is_set():
            self._poke.clear()
            try:
                if self.name == PROXY:
                    home = self._folder.container(self.name)
                    return launch.proxy(self._runtime, self._pod(), self.spec, home)
                if self._image is None and not await self._pull():
                    continue
                return launch.app(self._runtime, self._pod(), self.spec, self._folder, self._the_image())
            except ConfigError as error:
                self._refuse("CreateContainerConfigError", str(error))
            except VolumeError as error:
                self._set_waiting("ContainerCreating")
                self._runtime.recorder.warning(COMPONENT, self._pod(), "FailedMount", str(error))
            except (CreateError, OSError) as error:
                self._refuse("CreateContainerError", str(error))
            await self._wait(self._poke, _CONFIG_POLL)
        return None

    def _the_image(self) -> Image:
        assert self._image is not None  # noqa: S101 - _prepare has seen to it
        return self._image

    def _refuse(self, reason: str, message: str) -> None:
        self._set_waiting(reason, message)
        self._event("Failed", f"Error: {message}", warning=True)

    async def _pull(self) -> bool:
        """Copy the image's files for this container; False where it has to be tried again."""
        name = self.spec.get("image", "")
        images = self._runtime.images
        rootfs = self._folder.container(self.name).rootfs
        try:
            self._image = await asyncio.to_thread(images.copy, name, rootfs)
        except ValueError as error:
            self._set_waiting("InvalidImageName", f"Failed to apply default image tag: {error}")
            self._event("InspectFailed", f"Failed to apply default image tag: {error}", warning=True)
            await self._wait(self._poke, _CONFIG_POLL)
            return False
        except ImageNotFoundError:
            self._set_waiting(
                "ErrImagePull", f"{name}: no such image here: build it with local/bin/image build"
            )
            self._event("Failed", f'Failed to pull image "{name}": not built on this machine', warning=True)
            await self._wait(self._poke, _IMAGE_POLL)
            if not self._stop.is_set() and not images.exists(name):
                self._set_waiting("ImagePullBackOff", f'Back-off pulling image "{name}": not built here yet')
                self._event("BackOff", f'Back-off pulling image "{name}"')
            while not self._stop.is_set() and not images.exists(name):
                await self._wait(self._poke, _IMAGE_POLL)
                self._poke.clear()
            return False
        self.state.image_id = f"{name.partition('@')[0]}@{self._image.digest}"
        self._event("Pulled", f'Container image "{name}" already present on machine')
        return True

    # Running

    async def _run_once(self, ready: Launch) -> None:
        if self._ran_before:
            self.state.restarts += 1
        self._ran_before = True
        if self.state.exit_code is not None:
            self.state.last_state = self.state.state
        reason = launch.executable(ready)
        begun = asyncio.get_running_loop().time()
        if reason is None:
            await self._run_process(ready)
        else:
            self._fail_to_start(reason)
        if asyncio.get_running_loop().time() - begun >= self._runtime.back_off.reset:
            self._crashes = 0
        self._crashes += 1

    async def _run_process(self, ready: Launch) -> None:
        path = self._folder.container(self.name).log(self.state.restarts)
        started = now()
        self._exited.clear()
        try:
            process = await ManagedProcess.start(ready.argv, log=path, cwd=ready.cwd, env=ready.env)
        except (OSError, ValueError) as error:  # For example a NUL in a variable of a Secret.
            self._fail_to_start(str(error))
            return
        self._process = process
        self._runtime.records.add(process.pid)
        if self._stop.is_set():  # It was asked to end while it was being started.
            process.kill()
        self.state.container_id = f"process://{process.pid}"
        self.state.state = {"running": {"startedAt": started}}
        self._event("Created", f"Created container: {self.name}")
        self._event("Started", f"Started container {self.name}")
        self._changed()
        watchers = asyncio.create_task(self._watch(ready))
        try:
            code = await process.wait()
        finally:
            process.kill()
            watchers.cancel()
            await asyncio.gather(watchers, return_exceptions=True)
            self._runtime.records.remove(process.pid)
            self._process = None
            self._exited.set()
            self.started.clear()
            self.state.ready = self.state.started = False
        exit_code = code if code >= 0 else 128 - code
        self._set_terminated(
            exit_code, "Error" if exit_code else "Completed", started, _last_words(self.spec, path, code)
        )

    def _fail_to_start(self, reason: str) -> None:
        self._event("Failed", f"Error: failed to start container {self.name}: {reason}", warning=True)
        self._set_terminated(128, "StartError", "1970-01-01T00:00:00Z", f"failed to start: {reason}")

    def _set_terminated(self, code: int, reason: str, started: str, message: str) -> None:
        ended = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
        if self.state.container_id:
            ended["containerID"] = self.state.container_id
        if message:
            ended["message"] = message
        self.state.state = {"terminated": ended}
        self._changed()

    async def _wait_to_restart(self) -> None:
        delay = self._runtime.back_off.delay(self._crashes)
        if not delay:
            return
        meta = self._pod()["metadata"]
        pod = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        text = f"back-off {delay:g}s restarting failed container={self.name} pod={pod}"
        self._set_waiting("CrashLoopBackOff", text)
        self._event("BackOff", f"Back-off restarting failed container {self.name} in pod {pod}", warning=True)
        await self._wait(self._stop, delay)

    # Probes

    async def _watch(self, ready: Launch) -> None:
        try:
            if self.name == PROXY:
                await self._watch_proxy()
            else:
                await self._watch_app(ready)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("%s: its probes have failed in themselves", self.name)
            raise

    async def _watch_proxy(self) -> None:
        failures = 0
        while True:
            if await self._proxy_ready():
                failures = 0
                self._set_started()
                self._set_ready(True)
            else:
                failures += 1
                if failures >= _PROXY_FAILURES:
                    self._set_ready(False)
            await asyncio.sleep(_PROXY_POLL if self.state.started else _PROXY_FIRST_POLL)

    async def _proxy_ready(self) -> bool:
        try:
            return await self._runtime.istiod.proxy_ready(self._pod())
        except (OSError, TimeoutError, aiohttp.ClientError):
            return False

    async def _watch_app(self, ready: Launch) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            try:
                await handle(hook, ready.target, self._runtime.session, 60.0)
            except HandlerError as error:
                self._restart("FailedPostStartHook", f"PostStartHook failed: {error}")
                return

        async def check(spec: Object, timeout: float) -> None:
            await handle(spec, ready.target, self._runtime.session, timeout)

        startup = self.spec.get("startupProbe")
        if startup:
            await self._start_up(Probe(startup), check)
        self._set_started()
        readiness, liveness = self.spec.get("readinessProbe"), self.spec.get("livenessProbe")
        if not readiness:
            self._set_ready(True)
        async with asyncio.TaskGroup() as group:
            if readiness:
                told = self._tell("Readiness")
                group.create_task(Probe(readiness).watch(check, self._set_ready, told, early=True))
            if liveness:
                told = self._tell("Liveness")
                probe = Probe(liveness)
                group.create_task(probe.watch(check, self._on_liveness, told, early=False))

    async def _start_up(self, probe: Probe, check: Callable[[Object, float], Awaitable[None]]) -> None:
        done = asyncio.Event()

        def result(passed: bool) -> None:
            if passed:
                done.set()
            else:
                self._restart("Killing", f"Container {self.name} failed startup probe, will be restarted")

        watcher = asyncio.create_task(probe.watch(check, result, self._tell("Startup"), early=True))
        try:
            await done.wait()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    def _tell(self, kind: str) -> Callable[[str], None]:
        return lambda text: self._event("Unhealthy", f"{kind} probe failed: {text}", warning=True)

    def _on_liveness(self, passed: bool) -> None:
        if not passed:
            self._restart("Killing", f"Container {self.name} failed liveness probe, will be restarted")

    def _set_started(self) -> None:
        if not self.state.started:
            self.state.started = True
            self._changed()
        self.started.set()

    def _set_ready(self, ready: bool) -> None:
        if self.state.ready is not ready:
            self.state.ready = ready
            self._changed()

    # The end

    def _restart(self, reason: str, message: str) -> None:
        """End the present process as the pod's end would; `run` starts the next one."""
        if self._stop.is_set() or (self._restarting and not self._restarting.done()):
            return
        self._event(reason, message, warning=reason != "Killing")
        self._set_ready(False)
        grace = self._pod()["spec"].get("terminationGracePeriodSeconds", 30)
        for kind in ("startup", "liveness"):
            probe = self.spec.get(f"{kind}Probe") or {}
            if f"{kind} probe" in message:
                grace = probe.get("terminationGracePeriodSeconds", grace)
        self._restarting = asyncio.create_task(self._end(Deadline(grace), hooks=True))

    async def stop(self, deadline: Deadline, *, hooks: bool = True) -> None:
        """Stop for good: preStop, SIGTERM, and SIGKILL at the deadline."""
        self._stop.set()
        if self._process is not None:
            self._event("Killing", f"Stopping container {self.name}")
            await self._end(deadline, hooks=hooks)

    async def _end(self, deadline: Deadline, *, hooks: bool) -> None:
        process, ready = self._process, self.launch
        if process is None or ready is None:
            return
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and hooks:
            await self._pre_stop(hook, ready, deadline)
        process.terminate()
        try:
            async with deadline.limit(_LEAST_GRACE if hook and hooks else 0.0):
                await self._exited.wait()
        except TimeoutError:
            process.kill()
            await self._exited.wait()

    async def _pre_stop(self, hook: Object, ready: Launch, deadline: Deadline) -> None:
        work = asyncio.create_task(handle(hook, ready.target, self._runtime.session, float("inf")))
        gone = asyncio.create_task(self._exited.wait())
        with contextlib.suppress(TimeoutError):
            async with deadline.limit():
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, gone):
            task.cancel()
        for result in await asyncio.gather(work, gone, return_exceptions=True):
            if isinstance(result, HandlerError):
                self._event("FailedPreStopHook", f"PreStopHook failed: {result}", warning=True)


def restart_policy(pod: Object, container: Object) -> str:
    """Return when a container is started again: Always, OnFailure or Never."""
    policy = pod["spec"].get("restartPolicy", "Always")
    if container not in (pod["spec"].get("initContainers") or []):
        return str(policy)
    if is_sidecar(container):
        return "Always"
    return "Never" if policy == "Never" else "OnFailure"


def _last_words(container: Object, path: Path, code: int) -> str:
    """Return the termination message: the log's end after a failure, where the container asks for it."""
    if not code or container.get("terminationMessagePolicy") != "FallbackToLogsOnError" or not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MESSAGE_LIMIT))
        return file.read().decode(errors="replace")
