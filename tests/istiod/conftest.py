"""One running mesh for all tests: an ingress gateway, two versions of music, a store, a client."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.istiod.mesh import Mesh, named, settings_for

WORLD = """
apiVersion: v1
kind: Service
metadata: {name: music}
spec: {selector: {app: music}, ports: [{name: http, port: 8000}], clusterIP: 127.102.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: store}
spec:
  selector: {app: store}
  ports: [{name: http, port: 8001}, {name: http-two, port: 80, targetPort: 8001}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: music}
spec:
  host: music
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: music}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /music}}]
    route: [{destination: {host: music, subset: v1}}]
"""


def deployment_of(name: str) -> dict[str, object]:
    return {
        "kind": "ReplicaSet",
        "name": f"{name}-6d5f",
        "apiVersion": "apps/v1",
        "uid": "1",
        "controller": True,
    }


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def world(tmp_path_factory) -> AsyncIterator[Mesh]:
    async with Mesh(settings_for(tmp_path_factory.mktemp("mesh"), 100)).running() as mesh:
        mesh.apply(WORLD)
        await mesh.gateway_pod()
        for version in ("v1", "v2"):
            name = f"music-{version}"
            labels = {"app": "music", "version": version, "pod-template-hash": "6d5f"}
            await mesh.pod(name, labels=labels, handler=named(version), owner=deployment_of(name))
        await mesh.pod("store", port=8001, handler=named("store"))
        await mesh.pod("client")
        await mesh.settle()
        yield mesh


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(world: Mesh) -> AsyncIterator[Mesh]:
    """The mesh, with the objects of WORLD and no others after each test."""
    kinds = ("Service", "VirtualService", "DestinationRule", "ServiceEntry")
    before = {
        kind: {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in world.store.select(kind)}
        for kind in kinds
    }
    yield world
    for kind, known in before.items():
        for obj in world.store.select(kind):
            key = obj["metadata"]["namespace"], obj["metadata"]["name"]
            if key not in known:
                world.delete(kind, key[1], key[0])
    world.apply(WORLD)
    world.publish()
    await world.settle()
