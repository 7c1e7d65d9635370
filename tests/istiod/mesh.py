"""A mesh for tests: real Envoys before small applications in this process, on addresses of its own."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from local.istiod import Istiod
from local.istiod.injection import inject
from local.kinds import Object
from local.process import ManagedProcess
from local.settings import Settings
from local.store import Store

NAMESPACE = "shop"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Samples = list[tuple[str, dict[str, str], float]]

SEEN: web.AppKey[list[web.Request]] = web.AppKey("seen", list)
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([-+.\w]+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse_metrics(text: str) -> Samples:
    """Read Prometheus' text format."""
    found = []
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match:
            found.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))
    return found


def named(name: str) -> Handler:
    """Return an application that answers its name, and keeps what it was sent (App.seen)."""

    async def answer(request: web.Request) -> web.Response:
        request.app[SEEN].append(request)
        await request.read()
        return web.json_response(
            {"name": name, "path": request.path_qs, "headers": dict(request.headers)}, headers={"x-app": name}
        )

    return answer


class App:
    """An application on one address and port."""

    def __init__(self, handler: Handler, address: str, port: int) -> None:
        self.web = web.Application(client_max_size=16 * 1024 * 1024)
        self.web[SEEN] = []
        self.web.router.add_route("*", "/{rest:.*}", handler)
        self._runner = web.AppRunner(self.web, keepalive_timeout=75, shutdown_timeout=2)
        self.address, self.port = address, port

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, self.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def seen(self) -> list[web.Request]:
        return self.web[SEEN]


class Pod:
    """A pod of the test's mesh: its object, its Envoy and its application."""

    def __init__(self, obj: Object, process: ManagedProcess, app: App | None) -> None:
        self.obj, self.process, self.app = obj, process, app

    @property
    def name(self) -> str:
        return self.obj["metadata"]["name"]

    @property
    def ip(self) -> str:
        return self.obj["status"]["podIP"]

    @property
    def proxy(self) -> str:
        return f"http://{self.ip}:15001"


class Mesh:
    """The store, istiod, and what the kubelet and the controllers would do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self.istiod = Istiod(self.store, settings)
        self.pods: dict[str, Pod] = {}
        self._numbers = iter(range(1, 1000))
        self._ready: set[str] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self.client: aiohttp.ClientSession

    @property
    def gateway(self) -> str:
        return f"http://{self.settings.ingress_host}:{self.settings.ingress_port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Mesh"]:
        for name, labels in (
            ("istio-system", {}),
            (NAMESPACE, {"istio-injection": "enabled"}),
            ("other", {}),
        ):
            metadata = {"name": name, "labels": labels}
            self.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self._loop_task = asyncio.create_task(self.istiod.run())
        # Each request on a connection of its own by default: no state between tests.
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        try:
            yield self
        finally:
            await self.client.close()
            await asyncio.gather(*(self.stop(pod) for pod in list(self.pods.values())))
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task

    async def settle(self) -> None:
        assert await self.istiod.settled(5), "the proxies do not have the newest configuration after 5 s"

    def apply(self, text: str, namespace: str = NAMESPACE) -> None:
        """Create or replace the objects of a YAML text."""
        for obj in yaml.safe_load_all(text):
            obj["metadata"].setdefault("namespace", namespace)
            if self.store.find(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]):
                self.store.update(obj)
            else:
                self.store.create(obj)

    def delete(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        self.store.delete(kind, namespace, name)

    async def pod(
        self,
        name: str,
        *,
        labels: dict[str, str] | None = None,
        port: int = 8000,
        handler: Handler | None = None,
        namespace: str = NAMESPACE,
        env: list[Object] | None = None,
        port_name: str = "http",
        owner: Object | None = None,
    ) -> Pod:
        """Start a pod: its sidecar first, then its application, then it becomes an endpoint."""
        container = {"name": "app", "image": "app", "env": env or []}
        if handler:
            container["ports"] = [{"containerPort": port, "name": port_name}]
        metadata: Object = {"name": name, "namespace": namespace, "labels": labels or {"app": name}}
        if owner:
            metadata["ownerReferences"] = [owner]
        obj: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container]},
        }
        inject(obj, self.store)
        return await self._start(obj, handler, port)

    async def gateway_pod(self) -> Pod:
        labels = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
        obj: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "istio-ingressgateway-0", "namespace": "istio-system", "labels": labels},
            "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]},
        }
        return await self._start(obj, None, 0)

    async def _start(self, obj: Object, handler: Handler | None, port: int) -> Pod:
        obj = self.store.create(obj)
        obj["status"] = {"podIP": self.settings.pod_ip(next(self._numbers)), "phase": "Running"}
        obj = self.store.update(obj, status=True)
        meta = obj["metadata"]
        folder = self.settings.pods / f"{meta['namespace']}_{meta['name']}"
        process = await ManagedProcess.start(self.istiod.proxy_argv(obj), log=folder / "istio-proxy.log")
        app = App(handler, self.settings.app_ip(obj["status"]["podIP"]), port) if handler else None
        pod = self.pods[meta["name"]] = Pod(obj, process, app)
        if app:
            await app.start()
        try:
            await until(lambda: self.istiod.proxy_ready(obj), 10, f"{pod.name} is not ready")
        except AssertionError as error:
            raise AssertionError(f"{error}; exit status {process.returncode}; {self.log(pod)}") from None
        self.set_ready(pod)
        return pod

    def log(self, pod: Pod) -> str:
        path = self.settings.pods / f"{pod.obj['metadata']['namespace']}_{pod.name}" / "istio-proxy.log"
        return path.read_text(encoding="utf-8")

    def set_ready(self, pod: Pod, ready: bool = True) -> None:
        (self._ready.add if ready else self._ready.discard)(pod.name)
        self.publish()

    def publish(self) -> None:
        """Write an EndpointSlice for each Service, of the pods that are ready."""
        for service in self.store.select("Service"):
            namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
            pods = [
                pod
                for pod in self.store.select("Pod", namespace, service["spec"]["selector"])
                if pod["metadata"]["name"] in self.pods
            ]
            ports = [
                {"name": p.get("name", ""), "port": p.get("targetPort", p["port"]), "protocol": "TCP"}
                for p in service["spec"]["ports"]
            ]
            endpoints = [
                {
                    "addresses": [pod["status"]["podIP"]],
                    "conditions": {"ready": pod["metadata"]["name"] in self._ready},
                    "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
                }
                for pod in pods
            ]
            labels = {"kubernetes.io/service-name": name}
            obj = {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"{name}-1", "namespace": namespace, "labels": labels},
                "addressType": "IPv4",
                "ports": ports,
                "endpoints": endpoints,
            }
            old = self.store.find("EndpointSlice", namespace, f"{name}-1")
            if old is None:
                self.store.create(obj)
            else:
                self.store.update(old | obj | {"metadata": old["metadata"]})

    async def stop(self, pod: Pod) -> None:
        self.pods.pop(pod.name, None)
        self._ready.discard(pod.name)
        self.publish()
        await pod.process.stop(2)
        if pod.app:
            await pod.app.stop()
        self.store.remove(pod.obj)

    async def metrics(self, pod: Pod) -> Samples:
        async with self.client.get(f"http://{pod.ip}:15090/stats/prometheus") as answer:
            assert answer.status == 200
            return parse_metrics(await answer.text())

    async def requests_total(self, pod: Pod, **labels: str) -> float:
        """Return how many requests `pod` has counted under these labels."""
        return sum(
            value
            for name, found, value in await self.metrics(pod)
            if name == "envoy_istio_requests_total" and labels.items() <= found.items()
        )

    async def get(
        self, url: str, via: Pod | None = None, **options: object
    ) -> tuple[int, str, dict[str, str]]:
        """Return status, body and headers of a GET, through the sidecar of `via`."""
        if via:
            options["proxy"] = via.proxy
        async with self.client.get(url, **options) as answer:
            return answer.status, await answer.text(), dict(answer.headers)

    async def share(self, url: str, count: int, via: Pod | None = None, workers: int = 20) -> Counter[str]:
        """Return who answered `count` requests: names of applications, or statuses."""
        result: Counter[str] = Counter()
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                status, _, headers = await self.get(url, via)
                result[headers.get("x-app", str(status)) if status == 200 else str(status)] += 1

        await asyncio.gather(*(work() for _ in range(workers)))
        return result


def service_yaml(name: str, selector: str) -> str:
    """Return a Service of port 8000."""
    spec = f"{{selector: {selector}, ports: [{{port: 8000, name: http}}]}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {spec}}}"


async def until(condition: Callable[[], Awaitable[object]], seconds: float, message: str) -> None:
    """Wait for a condition, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.02)


def settings_for(folder: Path, net: int) -> Settings:
    return Settings(
        cache=folder / "cache", state=folder, net=net, ingress_port=8080, ingress_host=f"127.{net}.0.9"
    )
