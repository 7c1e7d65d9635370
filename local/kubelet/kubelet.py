"""The kubelet: a worker for each pod, and what the API server asks about pods."""

import asyncio
import logging
import shutil
from pathlib import Path

import aiohttp

from local.apiserver.runner import ExecEnvironment
from local.controllers.events import EventRecorder
from local.controllers.queue import Key, WorkQueue
from local.images.environments import Environments
from local.images.store import ImageStore
from local.kinds import Object
from local.kubelet.addresses import Addresses
from local.kubelet.folders import PodFolder
from local.kubelet.pod import PodWorker
from local.kubelet.records import ProcessRecords
from local.kubelet.runtime import BackOff, Proxies, Runtime
from local.settings import Settings
from local.store import Event, Store, StoreError

log = logging.getLogger(__name__)

NODE = "local"

_STOP_GRACE = 5.0
"""Seconds that pods have when the mesh ends."""
_DEFAULT_GRACE = 30
_FORCED_GRACE = 1.0


class Kubelet:
    """Runs the store's pods as processes of this machine."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        istiod: Proxies,
        *,
        back_off: BackOff | None = None,
        node: str = NODE,
    ) -> None:
        """Make one; `back_off` are the waits between restarts, `node` is the name of this machine's Node."""
        self._store = store
        self._settings = settings
        self._istiod = istiod
        self._back_off = back_off or BackOff()
        self._node = node
        self._addresses = Addresses(settings)
        self._queue = WorkQueue()
        self._workers: dict[Key, PodWorker] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._stopping = False
        store.listen(self._notice)

    # The pods' life

    async def run(self) -> None:
        """Run pods until cancelled; then end all of them, quickly and in order."""
        records = ProcessRecords(self._settings.state / "processes", self._settings.pods)
        for group in await asyncio.to_thread(records.kill_orphans):
            log.warning("process group %s was left from an earlier run: killed", group)
        await asyncio.to_thread(shutil.rmtree, self._settings.pods, ignore_errors=True)
        self._settings.pods.mkdir(parents=True)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), trust_env=False
        ) as session:
            runtime = Runtime(
                store=self._store,
                settings=self._settings,
                istiod=self._istiod,
                images=ImageStore(self._settings.images),
                environments=Environments(self._settings.environments),
                records=records,
                recorder=EventRecorder(self._store),
                session=session,
                back_off=self._back_off,
            )
            for pod in self._store.select("Pod"):
                self._queue.add((pod["metadata"]["namespace"], pod["metadata"]["name"]))
            try:
                while True:
                    self._sync(await self._queue.get(), runtime)
            finally:
                self._stopping = True
                self._queue.close()
                await asyncio.shield(self._end_all())

    async def _end_all(self) -> None:
        for worker in self._workers.values():
            worker.terminate(_STOP_GRACE, hooks=False)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _sync(self, key: Key, runtime: Runtime) -> None:
        """Start, end or clean up one pod."""
        pod = self._store.find("Pod", *key)
        worker = self._workers.get(key)
        if worker is not None:
            if pod is None or pod["metadata"]["uid"] != worker.uid:
                worker.terminate(_FORCED_GRACE, hooks=False)
            elif pod["metadata"].get("deletionTimestamp"):
                grace = pod["metadata"].get("deletionGracePeriodSeconds", _DEFAULT_GRACE)
                worker.terminate(max(grace, _FORCED_GRACE), hooks=grace > 0)
            return
        if pod is None:
            return
        if pod["metadata"].get("deletionTimestamp"):
            self._store.remove(pod)
        elif (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            worker = PodWorker(pod, runtime, self._addresses, self._node)
            self._workers[key] = worker
            self._tasks[key] = asyncio.create_task(self._work(key, worker), name="/".join(key))

    async def _work(self, key: Key, worker: PodWorker) -> None:
        try:
            await worker.run()
        except Exception:
            log.exception("pod %s/%s", *key)
            self._queue.retry(key)
        else:
            self._queue.forget(key)
        finally:
            if not self._stopping:  # After the mesh's end the logs stay, for people to read.
                await asyncio.to_thread(shutil.rmtree, worker.folder.path, ignore_errors=True)
                self._queue.add(key)
            del self._workers[key], self._tasks[key]

    def _notice(self, event: Event) -> None:
        meta = event.object["metadata"]
        if event.resource.kind == "Pod":
            self._queue.add((meta["namespace"], meta["name"]))
        elif event.resource.kind in ("ConfigMap", "Secret"):
            for (namespace, _), worker in self._workers.items():
                if namespace == meta["namespace"]:
                    asyncio.get_running_loop().call_soon(worker.poke)

    # What the API server asks

    def log_path(self, pod: Object, container: str, previous: bool) -> Path | None:
        """Return the log of the container's present run (or of the one before), None where there is none."""
        worker = self._worker(pod)
        if worker is None or container not in worker.containers:
            return None
        restarts = worker.containers[container].state.restarts - previous
        path = PodFolder(self._settings, pod).container(container).log(restarts)
        return path if path.is_file() else None

    def exec_environment(self, pod: Object, container: str) -> ExecEnvironment:
        """Return what a command in the running `container` gets. Raises StoreError where it does not run."""
        worker = self._worker(pod)
        found = worker.containers.get(container) if worker else None
        if found is None or found.launch is None or not found.state.running:
            name = pod["metadata"]["name"]
            raise StoreError(f'container "{container}" of pod "{name}" is not running')
        return ExecEnvironment(found.launch.cwd, dict(found.launch.env))

    def _worker(self, pod: Object) -> PodWorker | None:
        meta = pod["metadata"]
        worker = self._workers.get((meta["namespace"], meta["name"]))
        return worker if worker is not None and worker.uid == meta["uid"] else None
