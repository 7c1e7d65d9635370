"""Istio's standard metrics, label by label, as the proxies show them to Prometheus."""

import asyncio
import json
import re

import pytest

from local.istiod.telemetry import HISTOGRAM_BUCKETS, METRIC_RELABELINGS
from tests.istiod.mesh import Mesh, Pod, Samples, named, service_yaml, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUESTS = "envoy_istio_requests_total"


def workload(
    side: str, name: str, app: str, version: str = "unknown", namespace: str = "shop"
) -> dict[str, str]:
    return {
        f"{side}_workload": name,
        f"{side}_workload_namespace": namespace,
        f"{side}_app": app,
        f"{side}_version": version,
        f"{side}_canonical_service": app,
        f"{side}_canonical_revision": version if version != "unknown" else "latest",
        f"{side}_cluster": "Kubernetes",
        f"{side}_principal": "unknown",
    }


def unknown(side: str) -> dict[str, str]:
    return dict.fromkeys(workload(side, "", ""), "unknown")


def service(name: str, namespace: str = "shop") -> dict[str, str]:
    return {
        "destination_service": f"{name}.{namespace}.svc.cluster.local",
        "destination_service_name": name,
        "destination_service_namespace": namespace,
    }


def request(code: str, policy: str, flags: str = "-") -> dict[str, str]:
    return {
        "request_protocol": "http",
        "response_code": code,
        "grpc_response_status": "",
        "response_flags": flags,
        "connection_security_policy": policy,
    }


CLIENT = workload("source", "client", "client")
STORE = workload("destination", "store", "store")
GATEWAY = workload("source", "istio-ingressgateway-0", "istio-ingressgateway", namespace="istio-system")
SEEN_BY_CLIENT = {"reporter": "source", **CLIENT, **service("store")}
SEEN_BY_STORE = {"reporter": "destination", **STORE, **service("store")}


def counts(samples: Samples) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(sorted(labels.items())): value for name, labels, value in samples if name == REQUESTS}


class Recorder:
    """The series that have grown, with all of their labels."""

    def __init__(self, mesh: Mesh, pod: Pod, before: dict) -> None:
        self._mesh, self._pod, self._before = mesh, pod, before

    @classmethod
    async def of(cls, mesh: Mesh, name: str) -> "Recorder":
        pod = mesh.pods[name]
        return cls(mesh, pod, counts(await mesh.metrics(pod)))

    async def grown(self, total: int) -> list[tuple[dict[str, str], float]]:
        """Return labels and growth of each series once they sum up to `total`."""
        found: list[tuple[dict[str, str], float]] = []

        async def complete() -> bool:
            now = counts(await self._mesh.metrics(self._pod))
            found[:] = [
                (dict(k), v - self._before.get(k, 0)) for k, v in now.items() if v > self._before.get(k, 0)
            ]
            return sum(value for _, value in found) >= total

        await until(complete, 3, f"{self._pod.name} has not counted {total} requests: {found}")
        return found


async def test_both_sides_of_a_call(mesh):
    client, store = await Recorder.of(mesh, "client"), await Recorder.of(mesh, "store")
    await mesh.share("http://store:8001/", 7, mesh.pods["client"])
    assert await client.grown(7) == [({**SEEN_BY_CLIENT, **STORE, **request("200", "unknown")}, 7)]
    assert await store.grown(7) == [({**SEEN_BY_STORE, **CLIENT, **request("200", "none")}, 7)]


async def test_gateway_and_versions(mesh):
    gateway, v1 = await Recorder.of(mesh, "istio-ingressgateway-0"), await Recorder.of(mesh, "music-v1")
    await mesh.share(f"{mesh.gateway}/music", 5)
    # The Deployment, not the pod: music-v1 is what its ReplicaSet belongs to.
    music = workload("destination", "music-v1", "music", "v1")
    assert await gateway.grown(5) == [
        ({"reporter": "source", **GATEWAY, **music, **service("music"), **request("200", "unknown")}, 5)
    ]
    assert await v1.grown(5) == [
        ({"reporter": "destination", **GATEWAY, **music, **service("music"), **request("200", "none")}, 5)
    ]


async def test_a_caller_without_a_sidecar_is_unknown(mesh):
    store = await Recorder.of(mesh, "store")
    await mesh.share(f"http://{mesh.pods['store'].ip}:8001/metrics", 3)
    assert await store.grown(3) == [({**SEEN_BY_STORE, **unknown("source"), **request("200", "none")}, 3)]


FORGED = {
    f"x-istio-source-{name}": "forged"
    for name in ("workload", "workload-namespace", "app", "version", "cluster")
}


async def test_forged_senders_are_overwritten_and_the_application_sees_none(mesh):
    v1, store = await Recorder.of(mesh, "music-v1"), await Recorder.of(mesh, "store")
    _, at_music, _ = await mesh.get(f"{mesh.gateway}/music", headers=FORGED)
    _, at_store, _ = await mesh.get("http://store:8001/", mesh.pods["client"], headers=FORGED)
    [(labels, _)] = await v1.grown(1)
    assert GATEWAY.items() <= labels.items()
    [(labels, _)] = await store.grown(1)
    assert CLIENT.items() <= labels.items()
    for text in (at_music, at_store):
        assert "x-istio-source" not in text.lower()
        assert json.loads(text)["headers"]


async def test_an_injected_fault_names_the_service_and_no_workload(mesh):
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec:
  hosts: [store]
  http:
  - fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
    route: [{destination: {host: store, port: {number: 8001}}}]
""")
    await mesh.settle()
    client, store = await Recorder.of(mesh, "client"), await Recorder.of(mesh, "store")
    assert (await mesh.get("http://store:8001/", mesh.pods["client"]))[0] == 503
    expected = {**SEEN_BY_CLIENT, **unknown("destination"), **request("503", "unknown", "FI")}
    assert await client.grown(1) == [(expected, 1)]
    assert await store.grown(0) == []


async def test_no_endpoint_names_the_service_and_no_workload(mesh):
    store = mesh.pods["store"]
    mesh.set_ready(store, ready=False)
    try:
        await mesh.settle()
        client = await Recorder.of(mesh, "client")
        assert (await mesh.get("http://store:8001/", mesh.pods["client"]))[0] == 503
        expected = {**SEEN_BY_CLIENT, **unknown("destination"), **request("503", "unknown", "UH")}
        assert await client.grown(1) == [(expected, 1)]
    finally:
        mesh.set_ready(store)


async def test_a_direct_response_names_the_service(mesh):
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: store}
spec: {hosts: [store], http: [{directResponse: {status: 418}}]}
""")
    await mesh.settle()
    client = await Recorder.of(mesh, "client")
    await mesh.get("http://store:8001/", mesh.pods["client"])
    expected = {**SEEN_BY_CLIENT, **unknown("destination"), **request("418", "unknown")}
    assert await client.grown(1) == [(expected, 1)]


async def test_no_route_at_the_gateway_is_unknown_throughout(mesh):
    gateway = await Recorder.of(mesh, "istio-ingressgateway-0")
    await mesh.get(f"{mesh.gateway}/nowhere")
    [(labels, value)] = await gateway.grown(1)
    nothing = dict.fromkeys(service(""), "unknown")
    assert value == 1
    assert labels == {
        "reporter": "source",
        **GATEWAY,
        **unknown("destination"),
        **nothing,
        **request("404", "unknown", "NR"),
    }


async def test_a_workload_without_labels(mesh):
    mesh.apply(service_yaml("plain", "{k: v}"))
    plain = await mesh.pod("plain", labels={"k": "v"}, handler=named("plain"))
    try:
        await mesh.settle()
        client = await Recorder.of(mesh, "client")
        await mesh.get("http://plain:8000/", mesh.pods["client"])
        [(labels, _)] = await client.grown(1)
        expected = workload("destination", "plain", "unknown") | {"destination_canonical_service": "plain"}
        assert expected.items() <= labels.items()
    finally:
        await mesh.stop(plain)


async def test_histograms_have_istios_buckets_and_right_sums(mesh):
    store = mesh.pods["store"]
    async with mesh.client.post(
        "http://store:8001/", data=bytes(3000), proxy=mesh.pods["client"].proxy
    ) as answer:
        size = len(await answer.read())
    chosen = {"reporter": "destination", "source_workload": "client", "response_code": "200"}

    async def merged() -> bool:
        samples = [s for s in await mesh.metrics(store) if chosen.items() <= s[1].items()]
        total = sum(v for n, _, v in samples if n == REQUESTS)
        return total == sum(v for n, _, v in samples if n == "envoy_istio_request_bytes_count")

    await until(merged, 4, "the histograms lag behind the counter")
    samples = [s for s in await mesh.metrics(store) if chosen.items() <= s[1].items()]
    for name in ("request_duration_milliseconds", "request_bytes", "response_bytes"):
        found = [labels["le"] for n, labels, _ in samples if n == f"envoy_istio_{name}_bucket"]
        assert [float(le) for le in found] == [*HISTOGRAM_BUCKETS, float("inf")]
    sums = {n: v for n, _, v in samples if n.endswith("_sum")}
    assert sums["envoy_istio_request_bytes_sum"] >= 3000
    assert sums["envoy_istio_response_bytes_sum"] >= size


def relabeled(samples: Samples) -> Samples:
    """Do what Prometheus does with METRIC_RELABELINGS (relabel_config: replace and keep)."""
    result = []
    for name, labels, value in samples:
        series = {"__name__": name, **labels}
        for rule in METRIC_RELABELINGS:
            text = ";".join(series.get(label, "") for label in rule["source_labels"])
            match = re.fullmatch(rule["regex"], text)
            if rule.get("action", "replace") == "keep":
                if not match:
                    break
            elif match:
                series[rule["target_label"]] = match.expand(rule["replacement"].replace("$1", r"\1"))
        else:
            result.append((series.pop("__name__"), series, value))
    return result


async def test_what_prometheus_keeps(mesh):
    await mesh.get("http://store:8001/", mesh.pods["client"])
    names = {name for name, _, _ in relabeled(await mesh.metrics(mesh.pods["client"]))}
    histograms = ("request_duration_milliseconds", "request_bytes", "response_bytes")
    assert names == {
        "istio_requests_total",
        *(f"istio_{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")),
        *("envoy_server_live", "envoy_cluster_upstream_cx_active"),
    }


TCP_ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank}
spec:
  hosts: [bank.example]
  ports: [{number: 9300, name: tcp, protocol: TCP}]
  addresses: [127.100.0.6]
  resolution: STATIC
  endpoints: [{address: 127.100.0.6}]
"""


async def test_tcp_service_entry(mesh):
    """1,000 bytes go in and 5,000 come back; the application finds the way in its environment."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.write(bytes(5000))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.100.0.6", 9300)
    mesh.apply(TCP_ENTRY)
    env = [
        {"name": "BANK_URL", "value": "http://bank.example:9300/path?x=1"},
        {"name": "OTHER", "value": "bank.example:9300"},
    ]
    pod = await mesh.pod("teller", env=env)
    try:
        found = mesh.istiod.proxy_env(pod.obj)
        assert "OTHER" not in found
        address = re.fullmatch(rf"http://{re.escape(pod.ip)}:(\d+)/path\?x=1", found["BANK_URL"])
        assert address
        reader, writer = await asyncio.open_connection(pod.ip, int(address[1]))
        writer.write(bytes(1000))
        assert len(await reader.read()) == 5000
        writer.close()
        labels = {
            "reporter": "source",
            **workload("source", "teller", "teller"),
            **unknown("destination"),
            "destination_service": "bank.example",
            "destination_service_name": "bank.example",
            "destination_service_namespace": "shop",
            "request_protocol": "tcp",
            "response_flags": "-",
            "connection_security_policy": "unknown",
        }

        async def closed() -> bool:
            samples = relabeled(await mesh.metrics(pod))
            tcp = {name: (found, value) for name, found, value in samples if name.startswith("istio_tcp")}
            return tcp == {
                "istio_tcp_sent_bytes_total": (labels, 5000),
                "istio_tcp_received_bytes_total": (labels, 1000),
                "istio_tcp_connections_opened_total": (labels, 1),
                "istio_tcp_connections_closed_total": (labels, 1),
            }

        await until(closed, 3, "the TCP metrics are not as expected")
        # A second host gets a port of its own; the first keeps its, which running applications know.
        mesh.apply(TCP_ENTRY.replace("bank", "abank").replace("9300", "9301"))
        await mesh.settle()
        assert mesh.istiod.proxy_env(pod.obj)["BANK_URL"] == found["BANK_URL"]
    finally:
        await mesh.stop(pod)
        server.close()


async def test_tls_service_entry_through_connect(mesh):
    """What TLS clients do with HTTPS_PROXY: CONNECT, then bytes that are no HTTP. It counts as TCP."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(10))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.100.0.7", 9443)
    mesh.apply(
        TCP_ENTRY.replace("bank", "vault")
        .replace("127.100.0.6", "127.100.0.7")
        .replace("9300", "9443")
        .replace("protocol: TCP", "protocol: TLS")
    )
    await mesh.settle()
    pod = mesh.pods["client"]
    requests = sum(counts(await mesh.metrics(pod)).values())
    try:
        reader, writer = await asyncio.open_connection(pod.ip, 15001)
        writer.write(b"CONNECT vault.example:9443 HTTP/1.1\r\nHost: vault.example:9443\r\n\r\n")
        assert b" 200 " in (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
        writer.write(b"\x16\x03\x01 no HTTP"[:10])
        assert await reader.readexactly(10) == b"\x16\x03\x01 no HTTP"[:10]
        writer.close()

        async def counted() -> bool:
            sent = [
                value
                for name, labels, value in relabeled(await mesh.metrics(pod))
                if name == "istio_tcp_sent_bytes_total" and labels["destination_service"] == "vault.example"
            ]
            return sent == [10]

        await until(counted, 3, "the bytes are not counted")
        assert sum(counts(await mesh.metrics(pod)).values()) == requests
    finally:
        server.close()


async def test_a_scrape_is_small(mesh):
    """Per series of requests there are three histograms; all the rest of Envoy's stats is a few lines."""
    samples = await mesh.metrics(mesh.pods["store"])
    assert len([s for s in samples if not s[0].startswith("envoy_istio")]) < 60
