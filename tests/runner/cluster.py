"""A small cluster for tests: store, controllers and kubelet with real processes, without sidecars."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from local.controllers import Controllers
from local.images.builder import Builder
from local.images.environments import Environments
from local.images.reference import ImageReference
from local.images.store import ImageStore
from local.kinds import Object
from local.kubelet import BackOff, Kubelet
from local.settings import Settings
from local.store import Store

NAMESPACE = "test"
PORT = 7000

SERVER = '''
"""A server bound by GUNICORN_CMD_ARGS, as gunicorn is; files in WORK make it answer 503."""
import http.server, os, pathlib, signal, sys, threading, time

VERSION = "VERSION_TEXT"
started = time.time()
work = pathlib.Path(os.environ["WORK"]) if "WORK" in os.environ else None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        broken = work and (work / self.path.strip("/")).exists()
        late = time.time() - started < float(os.environ.get("READY_AFTER", "0"))
        body = f"{VERSION} {os.environ['HOSTNAME']}\\n".encode()
        self.send_response(503 if broken or (late and self.path == "/ready") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


host, port = os.environ["GUNICORN_CMD_ARGS"].rpartition("--bind=")[2].split(":")
server = Server((host, int(port)), Handler)
stopping = []


def stop(*_):
    print("SIGTERM", time.time(), flush=True)
    stopping.append(1)
    if not os.environ.get("STUBBORN"):
        threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, stop)
print("serving", VERSION, flush=True)
server.serve_forever()
'''


class NoProxies:
    """An istiod of a mesh without sidecars."""

    def proxy_argv(self, pod: Object) -> list[str]:
        raise NotImplementedError

    async def proxy_ready(self, pod: Object) -> bool:
        raise NotImplementedError

    async def drain(self, pod: Object) -> None:
        raise NotImplementedError

    def proxy_env(self, pod: Object) -> dict[str, str]:
        return {}


class Cluster:
    """What a test works with."""

    def __init__(self, settings: Settings, istiod: Any, back_off: BackOff, job_back_off: float) -> None:
        self.settings = settings
        self.store = Store()
        self.images = ImageStore(settings.images)
        self.kubelet = Kubelet(self.store, settings, istiod, back_off=back_off)
        self.controllers = Controllers(self.store, settings, job_back_off=job_back_off)
        for name in ("default", NAMESPACE):
            self.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # Objects

    def create(self, kind: str, name: str, spec: Object | None = None, **more: Any) -> Object:
        """Create an object of any kind in the test's namespace."""
        versions = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1"}
        meta = {"name": name, "namespace": NAMESPACE, **more.pop("metadata", {})}
        obj = {"apiVersion": versions.get(kind, "v1"), "kind": kind, "metadata": meta, **more}
        return self.store.create(obj | ({"spec": spec} if spec is not None else {}))

    def get(self, kind: str, name: str) -> Object:
        return self.store.get(kind, NAMESPACE, name)

    def edit(self, kind: str, name: str, change: Callable[[Object], None]) -> None:
        assert self.store.mark(self.get(kind, name), change) is not None

    def pods(self, **labels: str) -> list[Object]:
        return self.store.select("Pod", NAMESPACE, labels or None)

    def pod(self, **labels: str) -> Object:
        (found,) = self.pods(**labels)
        return found

    def events(self, name: str) -> list[str]:
        """Return "Reason: message" of an object's events."""
        found = self.store.select("Event", NAMESPACE)
        return [f"{e['reason']}: {e['message']}" for e in found if e["involvedObject"]["name"] == name]

    def log(self, pod: Object, container: str = "app", *, previous: bool = False) -> str:
        path = self.kubelet.log_path(pod, container, previous)
        return path.read_text() if path else ""

    def processes(self) -> list[int]:
        """Return all processes that have their HOME in this cluster's pods."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                home = process.environ().get("HOME", "")
                if home.startswith(str(self.settings.pods)) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    async def until(self, condition: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Return the first true value of `condition`; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                names = [(p["metadata"]["name"], p.get("status")) for p in self.pods()]
                raise AssertionError(f"not within {seconds} s; pods: {names}")
            await asyncio.sleep(0.02)

    def container_state(self, pod: Object, index: int = 0) -> Object:
        return pod["status"]["containerStatuses"][index]["state"]

    def container(self, name: str) -> Object:
        """Return the status of a pod's first container, {} where there is none yet."""
        return dict((self.get("Pod", name).get("status", {}).get("containerStatuses") or [{}])[0])

    def reason(self, pod: Object) -> str:
        """Return the reason that kubectl shows for a pod's first container."""
        states = (pod.get("status") or {}).get("containerStatuses")
        return next(iter(states[0]["state"].values())).get("reason", "Running") if states else ""

    def endpoints(self, service: str, *, ready: bool = True) -> list[str]:
        """Return the addresses in a Service's slices."""
        slices = self.store.select("EndpointSlice", NAMESPACE, {"kubernetes.io/service-name": service})
        return [
            address
            for found in slices
            for endpoint in found["endpoints"]
            if not ready or endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        ]

    # Images

    def image(self, name: str, files: dict[str, str], dockerfile: str) -> str:
        """Build an image from texts and return its digest."""
        context = self.settings.state.parent / f"context-{name.replace(':', '-').replace('/', '-')}"
        for path, text in {**files, "Dockerfile": dockerfile}.items():
            target = context / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        builder = Builder(self.images, Environments(self.settings.environments), lambda _: None)
        return builder.build(context / "Dockerfile", context, ImageReference.parse(name), {}).digest

    def server_image(self, version: str) -> str:
        """Build the test's server under the tag `version`."""
        files = {"app.py": SERVER.replace("VERSION_TEXT", version)}
        text = 'FROM python:3.13-slim\nWORKDIR /code\nCOPY app.py .\nCMD ["python", "app.py"]\n'
        self.image(f"server:{version}", files, text)
        return f"server:{version}"


def container(image: str, **more: Any) -> Object:
    """Return a container with the server's port and a readiness probe."""
    base = {
        "name": "app",
        "image": image,
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
    }
    return {**base, **more}


def script(text: str, **more: Any) -> Object:
    """Return a container that runs a shell script of the machine."""
    return {"name": "app", "image": "c756.local/machine:latest", "command": ["sh", "-c", text], **more}


def deployment(template: Object, replicas: int = 1, app: str = "web", **spec: Any) -> Object:
    """Return a Deployment's spec around a pod's spec."""
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": app}},
        "template": {"metadata": {"labels": {"app": app}}, "spec": template},
        **spec,
    }


def service(app: str = "web") -> Object:
    """Return a Service's spec for the server."""
    return {"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}


@contextlib.asynccontextmanager
async def running(
    folder: Path, net: int, istiod: Any = None, back_off: BackOff | None = None, job_back_off: float = 0.2
) -> AsyncIterator[Cluster]:
    """Run a cluster in `folder` on its own loopback networks; at the end nothing of it may be left."""
    cache = Path(os.environ.get("PYTEST_RUNNER_CACHE", folder.parent / "cache"))
    settings = Settings(cache=cache, state=folder / "state", net=net, ingress_port=18000 + net)
    settings.state.mkdir(parents=True, exist_ok=True)
    quick = back_off or BackOff(initial=0.3, maximum=1.0, reset=600)
    cluster = Cluster(settings, istiod or NoProxies(), quick, job_back_off)
    parts = [asyncio.create_task(cluster.controllers.run()), asyncio.create_task(cluster.kubelet.run())]
    try:
        yield cluster
        assert not [part for part in parts if part.done()], "a part of the cluster has ended"
    finally:
        for part in reversed(parts):
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        # A group that was killed takes a moment to be gone.
        await cluster.until(lambda: not cluster.processes(), 5)


async def get(address: str, path: str = "/", port: int = PORT) -> str:
    """Return the body of a GET; raises aiohttp.ClientError where it fails."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}:{port}{path}") as answer:
        answer.raise_for_status()
        return await answer.text()
