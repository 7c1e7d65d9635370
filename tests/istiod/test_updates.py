"""Configuration changes while requests run: nothing is lost, bad configuration changes nothing."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from local.process import ManagedProcess
from tests.istiod.mesh import Mesh, named, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def rule(*weighted: tuple[str, int], name: str = "music", path: str = "/music", host: str = "music") -> str:
    route = [
        {"destination": {"host": host, "subset": subset}, "weight": weight} for subset, weight in weighted
    ]
    spec = {
        "hosts": ["*"],
        "gateways": ["gw"],
        "http": [{"match": [{"uri": {"prefix": path}}], "route": route}],
    }
    meta = {"name": name}
    return json.dumps(
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec}
    )


@contextlib.asynccontextmanager
async def load(url: str, workers: int = 8) -> AsyncIterator[Counter[str]]:
    """Send requests in closed loops over kept connections; count the answers and the exceptions."""
    found: Counter[str] = Counter()
    done = asyncio.Event()

    async def work(client: aiohttp.ClientSession) -> None:
        while not done.is_set():
            try:
                async with client.get(url) as answer:
                    await answer.read()
                    found[
                        answer.headers.get("x-app", "") if answer.status == 200 else str(answer.status)
                    ] += 1
            except aiohttp.ClientError as error:
                found[type(error).__name__] += 1

    async with aiohttp.ClientSession() as client:
        tasks = [asyncio.create_task(work(client)) for _ in range(workers)]
        try:
            yield found
        finally:
            done.set()
            await asyncio.gather(*tasks)


async def answers(found: Counter[str], more: int) -> None:
    goal = found.total() + more

    async def enough() -> bool:
        return found.total() >= goal

    await until(enough, 10, f"{more} more requests were not answered")


async def test_twenty_switches_under_load(mesh):
    async with load(f"{mesh.gateway}/music") as found:
        for turn in range(20):
            to = ("v1", "v2")[turn % 2]
            mesh.apply(rule((to, 100)))
            await mesh.settle()
            # What began before may still come back; what begins now goes to the new version only.
            assert await mesh.share(f"{mesh.gateway}/music", 10, workers=2) == {to: 10}
    assert set(found) == {"v1", "v2"}, found
    assert found.total() > 200


async def test_a_change_takes_effect_within_a_second(mesh):
    async def on_v2() -> bool:
        return (await mesh.get(f"{mesh.gateway}/music"))[2].get("x-app") == "v2"

    start = time.monotonic()
    mesh.apply(rule(("v2", 1)))
    await until(on_v2, 5, "the change never took effect")
    assert time.monotonic() - start < 1


async def test_an_endpoint_leaves_under_load(mesh):
    """As in a rolling update: out of the endpoints first, then the pod ends."""

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("sleep", 0)))
        return web.Response(headers={"x-app": "leaving"})

    async with load(f"{mesh.gateway}/music") as found:
        for turn in range(3):
            pod = await mesh.pod(f"leaving-{turn}", labels={"app": "music", "version": "v1"}, handler=slow)
            await mesh.settle()
            before = found["leaving"]

            async def takes_part(floor: int = before) -> bool:
                return found["leaving"] > floor + 5

            await until(takes_part, 5, "the new endpoint gets no requests")
            url = f"{mesh.gateway}/music?sleep=0.5"
            running = [asyncio.create_task(mesh.get(url)) for _ in range(6)]
            await answers(found, 50)
            mesh.set_ready(pod, ready=False)
            await mesh.settle()
            await mesh.istiod.drain(pod.obj)
            await answers(found, 50)
            assert {(await task)[0] for task in running} == {200}
            seen = found["leaving"]
            await answers(found, 100)
            assert found["leaving"] == seen, "an endpoint that has left still gets requests"
            await mesh.stop(pod)
    assert set(found) == {"v1", "leaving"}, found


async def test_new_service_and_its_route_at_once(mesh):
    """The route must not be there before its cluster: no request is answered 503."""
    pod = await mesh.pod("fresh", labels={"app": "fresh", "version": "v1"}, handler=named("fresh"))
    try:
        for turn in range(3):
            service = f"fresh-{turn}"
            async with load(f"{mesh.gateway}/{service}", workers=4) as found:
                await answers(found, 20)
                mesh.apply(f"""
apiVersion: v1
kind: Service
metadata: {{name: {service}}}
spec: {{selector: {{app: fresh}}, ports: [{{name: http, port: 8000}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {service}}}
spec: {{host: {service}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}
---
{rule(("v1", 1), name=service, path=f"/{service}", host=service)}
""")
                mesh.publish()
                await mesh.settle()
                await answers(found, 50)
            assert set(found) == {"404", "fresh"}, found
            # All goes at once as well: the routes first.
            async with load(f"{mesh.gateway}/{service}", workers=4) as found:
                await answers(found, 20)
                for kind in ("Service", "DestinationRule", "VirtualService"):
                    mesh.delete(kind, service)
                await mesh.settle()
                await answers(found, 50)
            assert set(found) == {"404", "fresh"}, found
            folder = mesh.settings.pods / "istio-system_istio-ingressgateway-0" / "envoy"
            assert service not in (folder / "cds.json").read_text()
    finally:
        await mesh.stop(pod)


BAD = {
    "routes": """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec: {hosts: [store], http: [{match: [{uri: {regex: "("}}], directResponse: {status: 418}}]}
""",
    "clusters": """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: store}
spec: {host: store, trafficPolicy: {outlierDetection: {maxEjectionPercent: 1000}}}
""",
    "not translatable": """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec: {hosts: [store], http: [{route: [{destination: {}}]}]}
""",
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_configuration_is_refused_loudly_and_changes_nothing(mesh, caplog, name):
    client = mesh.pods["client"]
    folder = mesh.settings.pods / "shop_client" / "envoy"
    files = ("cds.json", "lds.json", "rds/http_proxy.json")
    before = {file: json.loads((folder / file).read_text()) for file in files}
    with caplog.at_level(logging.ERROR, "local.istiod"):
        mesh.apply(BAD[name])
        await mesh.settle()
    assert any("shop/client" in record.getMessage() for record in caplog.records)
    assert await mesh.share("http://store:8001/", 20, client) == {"store": 20}
    # A proxy that starts again must not meet the bad file.
    assert {file: json.loads((folder / file).read_text()) for file in files} == before
    if name == "routes":
        client.process.kill()
        await client.process.wait()
        log = mesh.settings.state / "refused.log"
        client.process = await ManagedProcess.start(mesh.istiod.proxy_argv(client.obj), log=log)
        await until(lambda: mesh.istiod.proxy_ready(client.obj), 5, "the proxy met the bad file")
    mesh.delete(*("DestinationRule" if name == "clusters" else "VirtualService", "store"))
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec: {hosts: [store], http: [{directResponse: {status: 418}}]}
""")
    await mesh.settle()
    assert (await mesh.get("http://store:8001/", client))[0] == 418


async def test_a_proxy_that_hangs_holds_no_other_up(mesh):
    hung = mesh.pods["client"]
    os.kill(hung.process.pid, signal.SIGSTOP)
    try:
        mesh.apply(rule(("v2", 1)))
        mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec: {hosts: [store], http: [{directResponse: {status: 418}}]}
""")
        assert not await mesh.istiod.settled(0.5)
        assert await mesh.share(f"{mesh.gateway}/music", 5) == {"v2": 5}
    finally:
        os.kill(hung.process.pid, signal.SIGCONT)
    assert await mesh.istiod.settled(10)
    assert (await mesh.get("http://store:8001/", hung))[0] == 418


async def test_a_proxy_that_starts_again_has_the_newest(mesh):
    pod = mesh.pods["client"]
    pod.process.kill()
    await pod.process.wait()
    assert not await mesh.istiod.proxy_ready(pod.obj)
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec: {hosts: [store], http: [{directResponse: {status: 418}}]}
""")
    await mesh.settle()
    log = mesh.settings.state / "again.log"
    pod.process = await ManagedProcess.start(mesh.istiod.proxy_argv(pod.obj), log=log)
    await until(lambda: mesh.istiod.proxy_ready(pod.obj), 5, log.read_text())
    assert (await mesh.get("http://store:8001/", pod))[0] == 418


async def test_a_second_envoy_cannot_take_the_same_address(mesh):
    pod = mesh.pods["store"]
    log = mesh.settings.state / "second.log"
    second = await ManagedProcess.start(mesh.istiod.proxy_argv(pod.obj), log=log)
    try:
        assert await asyncio.wait_for(second.wait(), 5) != 0
        assert "Address already in use" in log.read_text()
    finally:
        second.kill()
    assert await mesh.istiod.proxy_ready(pod.obj)


async def test_unchanged_files_are_not_written(mesh):
    folder = mesh.settings.pods / "shop_client" / "envoy"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    mesh.apply(rule(("v2", 1)))  # for the gateway only
    await mesh.settle()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")} == before


async def test_settled_waits_for_every_change_before_it(mesh: Mesh):
    for turn in range(10):
        to = ("v1", "v2")[turn % 2]
        mesh.apply(rule((to, 1)))
        assert await mesh.istiod.settled(5)
        assert (await mesh.get(f"{mesh.gateway}/music"))[2]["x-app"] == to


async def test_a_gateway_that_goes_and_comes_back(mesh):
    """The listener is closed and opened; the proxy itself lives on."""
    gateway = mesh.store.get("Gateway", "shop", "gw")
    pid = mesh.pods["istio-ingressgateway-0"].process.pid
    for _ in range(2):
        mesh.delete("Gateway", "gw")
        await mesh.settle()

        async def refused() -> bool:
            try:
                await mesh.get(f"{mesh.gateway}/music")
            except aiohttp.ClientConnectorError:
                return True
            return False

        await until(refused, 8, "the port of a gateway that is gone is still open")
        mesh.store.create(
            {key: gateway[key] for key in ("apiVersion", "kind", "spec")}
            | {"metadata": {"name": "gw", "namespace": "shop"}}
        )
        await mesh.settle()

        async def served() -> bool:
            return (await mesh.get(f"{mesh.gateway}/music"))[0] == 200

        await until(served, 3, "the gateway does not come back")
    assert mesh.pods["istio-ingressgateway-0"].process.pid == pid
    assert mesh.pods["istio-ingressgateway-0"].process.returncode is None


def open_files(pid: int) -> list[str]:
    return [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]


async def test_a_proxy_is_sparing_with_inotify_instances(mesh):
    """A user has 128 of them by default; Envoy takes one for each file that it watches."""
    assert 1 <= open_files(mesh.pods["client"].process.pid).count("anon_inode:inotify") <= 4
