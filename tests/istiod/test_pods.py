"""Sidecar injection, the application's environment, and fields that are refused."""

import pytest
import yaml

from local.istiod import support
from local.istiod.environment import proxy_env, rewritten
from local.istiod.injection import inject
from local.istiod.model import Snapshot
from local.store import Store


def store_with(namespace_labels: dict[str, str], *texts: str) -> Store:
    store = Store()
    metadata = {"name": "shop", "labels": namespace_labels}
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for text in texts:
        for obj in yaml.safe_load_all(text):
            obj["metadata"]["namespace"] = "shop"
            store.create(obj)
    return store


def pod(labels: dict | None = None, annotations: dict | None = None, **spec: object) -> dict:
    meta = {"name": "p", "namespace": "shop", "labels": labels or {}, "annotations": annotations or {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [{"name": "app"}], **spec},
    }


ENABLED = {"istio-injection": "enabled"}
OPT_OUT = {"sidecar.istio.io/inject": "false"}
OPT_IN = {"sidecar.istio.io/inject": "true"}


@pytest.mark.parametrize(
    ("namespace", "obj", "expected"),
    [
        (ENABLED, pod(), True),
        ({}, pod(), False),
        (ENABLED, pod(labels=OPT_OUT), False),
        (ENABLED, pod(annotations=OPT_OUT), False),
        (ENABLED, pod(labels=OPT_IN, annotations=OPT_OUT), True),
        ({}, pod(labels=OPT_IN), True),
        ({"istio-injection": "disabled"}, pod(labels=OPT_IN), False),
        (ENABLED, pod(hostNetwork=True), False),
        (ENABLED, pod(containers=[{"name": "istio-proxy"}]), False),
    ],
)
def test_who_gets_a_sidecar(namespace, obj, expected):
    before = yaml.safe_dump(obj)
    inject(obj, store_with(namespace))
    names = [container["name"] for container in obj["spec"].get("initContainers", [])]
    assert names == (["istio-proxy"] if expected else [])
    assert (yaml.safe_dump(obj) == before) is not expected


def test_what_injection_adds():
    obj = pod(labels={"app": "a", "version": "v2"}, initContainers=[{"name": "first"}])
    inject(obj, store_with(ENABLED))
    sidecar, first = obj["spec"]["initContainers"]
    assert (sidecar["restartPolicy"], first["name"]) == ("Always", "first")
    annotations = obj["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "app"
    assert "istio-proxy" in annotations["sidecar.istio.io/status"]
    assert obj["metadata"]["labels"]["service.istio.io/canonical-name"] == "a"
    assert obj["metadata"]["labels"]["service.istio.io/canonical-revision"] == "v2"
    once = yaml.safe_dump(obj)
    inject(obj, store_with(ENABLED))
    assert yaml.safe_dump(obj) == once


PORTS = {("db.example", 9000): 15100}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://db.example:9000", "http://127.0.0.5:15100"),
        ("http://DB.example:9000/a?b#c", "http://127.0.0.5:15100/a?b#c"),
        ("redis://user:word@db.example:9000/0", "redis://user:word@127.0.0.5:15100/0"),
        ("https://db.example:9000", None),
        ("http://db.example:90001", None),
        ("http://db.example", None),
        ("http://other.example:9000", None),
        ("db.example:9000", None),
        ("see http://db.example:9000", None),
        ("", None),
    ],
)
def test_urls_of_tcp_hosts(value, expected):
    assert rewritten(value, "127.0.0.5", PORTS) == (expected or value)


def test_environment_of_an_application():
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec: {hosts: [db.example], ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: DNS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {FROM_MAP: "http://db.example:9000/map", PLAIN: x}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
data: {url: aHR0cDovL2RiLmV4YW1wbGU6OTAwMC9zZWNyZXQ=, binary: /w==}
"""
    store = store_with(ENABLED, entry)
    env = [
        {"name": "LITERAL", "value": "http://db.example:9000"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "url"}}},
        {"name": "BINARY", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "binary"}}},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    container = {
        "name": "app",
        "env": env,
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "P_"}],
    }
    obj = pod(containers=[container])
    obj["status"] = {"podIP": "127.0.0.5"}
    snapshot = Snapshot.read(store)
    assert proxy_env(obj, store, snapshot, PORTS) == {}
    inject(obj, store)
    found = proxy_env(obj, store, snapshot, PORTS)
    proxy = "http://127.0.0.5:15001"
    assert found.pop("NO_PROXY") == found.pop("no_proxy") == "127.0.0.5,localhost,127.0.0.1"
    assert found == {
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy),
        "LITERAL": "http://127.0.0.5:15100",
        "SECRET": "http://127.0.0.5:15100/secret",
        "P_FROM_MAP": "http://127.0.0.5:15100/map",
    }


NO = "not implemented by the one-machine mesh"


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("VirtualService", {"hosts": ["a"], "tcp": []}, [("spec.tcp", NO)]),
        ("VirtualService", {"http": [{"delegate": {"name": "x"}}]}, [("spec.http[0].delegate", NO)]),
        (
            "VirtualService",
            {"http": [{}, {"fault": {"delay": {"percent": 5, "fixedDelay": "1s"}}}]},
            [("spec.http[1].fault.delay.percent", NO)],
        ),
        (
            "VirtualService",
            {"http": [{"headers": {"request": {"set": {"x-a": "%REQ(x)%"}}}}]},
            [
                (
                    "spec.http[0].headers.request.set['x-a']",
                    f"%REQ(x)%: Envoy's command operators are {NO}; a % is written %%",
                )
            ],
        ),
        (
            "VirtualService",
            {"http": [{"match": [{"statPrefix": "x"}], "headers": {"request": {"set": {"a": "5%%"}}}}]},
            [],
        ),
        (
            "DestinationRule",
            {"trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}},
            [("spec.trafficPolicy.loadBalancer.consistentHash", NO)],
        ),
        (
            "DestinationRule",
            {
                "subsets": [
                    {
                        "trafficPolicy": {
                            "portLevelSettings": [{"port": {"number": 1}, "tls": {"mode": "SIMPLE"}}]
                        }
                    }
                ]
            },
            [
                (
                    "spec.subsets[0].trafficPolicy.portLevelSettings[0].tls.mode",
                    f"SIMPLE: {NO}, only DISABLE, ISTIO_MUTUAL",
                )
            ],
        ),
        ("DestinationRule", {"workloadSelector": {}}, [("spec.workloadSelector", NO)]),
        (
            "Gateway",
            {"servers": [{"port": {"number": 443, "protocol": "HTTPS"}, "tls": {"mode": "SIMPLE"}}]},
            [
                ("spec.servers[0].port.number", f"443: {NO}, only 80, 3000"),
                ("spec.servers[0].port.protocol", f"HTTPS: {NO}, only HTTP, HTTP2, GRPC"),
                ("spec.servers[0].tls", NO),
            ],
        ),
        (
            "ServiceEntry",
            {"hosts": ["a.b"]},
            [("spec.resolution", f"NONE, the default: {NO}, only STATIC, DNS")],
        ),
        (
            "ServiceEntry",
            {"resolution": "STATIC", "location": "MESH_EXTERNAL", "endpoints": [{"locality": "x"}]},
            [],
        ),
        ("Service", {"anything": True}, []),
    ],
)
def test_fields_that_are_refused(kind, spec, expected):
    assert support.problems({"kind": kind, "spec": spec}) == expected


def test_fields_without_effect_tell_why():
    assert "ServiceEntry.spec.location" in support.WITHOUT_EFFECT
    assert "DestinationRule.spec.trafficPolicy.tls.mode" in support.WITHOUT_EFFECT
    for path, reason in support.WITHOUT_EFFECT.items():
        kind = path.split(".", maxsplit=1)[0]
        assert len(reason) > 10
        # Each is really taken: an object that has it alone is not refused.
        value: object = "DISABLE" if path.endswith("mode") else "x"
        for part in reversed(path.removeprefix(f"{kind}.spec.").split(".")):
            value = {part.removesuffix("[]"): [value] if part.endswith("[]") else value}
        spec = {"resolution": "STATIC", **value} if kind == "ServiceEntry" else value
        assert support.problems({"kind": kind, "spec": spec}) == [], path
