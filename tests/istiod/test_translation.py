"""From objects to Envoy's configuration: what a running mesh does not show; Envoy takes all of it."""

import copy
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from local.istiod import support
from local.istiod.bootstrap import bootstrap, envoy_binary
from local.istiod.clusters import outbound_name
from local.istiod.hosts import covers, intersection, short_names
from local.istiod.model import HTTP, HTTP2, TCP, TLS, Proxy, Snapshot, protocol_of
from local.istiod.routes import DEFAULT_RETRY_ON, retry_policy
from local.istiod.translate import Configuration, Folder, configuration, egress_destinations
from local.istiod.values import duration, seconds
from local.istiod.workloads import workload_of
from local.kinds import Object
from local.settings import Settings
from local.store import Store
from tests.chart.rendering import VARIANTS, cluster_files, rendered
from tests.istiod.conftest import WORLD


def store_of(*texts: str, namespace: str = "shop") -> Store:
    store = Store()
    for name in ("istio-system", "shop", "other"):
        store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for text in texts:
        for obj in yaml.safe_load_all(text):
            obj["metadata"].setdefault("namespace", namespace)
            store.create(obj)
    return store


def sidecar(**labels: str) -> Proxy:
    return proxy_of(labels or {"app": "music"}, sidecar_containers(8000))


def sidecar_containers(port: int) -> list[Object]:
    return [{"name": "istio-proxy"}, {"name": "app", "ports": [{"containerPort": port}]}]


def proxy_of(labels: dict[str, str], containers: list[Object], namespace: str = "shop") -> Proxy:
    pod = {
        "metadata": {"name": "pod-1", "namespace": namespace, "labels": labels},
        "spec": {"containers": containers},
        "status": {"podIP": "127.100.1.1"},
    }
    return Proxy.of(pod)


GATEWAY = proxy_of({"istio": "ingressgateway"}, [{"name": "istio-proxy"}], "istio-system")


def translate(store: Store, proxy: Proxy, folder: Path = Path("/nowhere")) -> Configuration:
    snapshot = Snapshot.read(store)
    ports = {found: 15100 + i for i, found in enumerate(egress_destinations(snapshot))}
    return configuration(snapshot, proxy, Settings(net=101), Folder(folder), ports)


def test_go_durations():
    assert seconds("1h30m") == 5400
    assert duration("1.5s") == "1.5s"
    assert duration("100ms") == "0.1s"
    assert duration("0s") == "0s"
    for bad in ("5", "s", "1 s", "-1s", "1x", ""):
        with pytest.raises(ValueError, match="is not a duration"):
            seconds(bad)


def test_names():
    assert short_names("a.shop.svc.cluster.local", "shop") == [
        "a.shop.svc.cluster.local",
        "a.shop.svc",
        "a.shop",
        "a",
    ]
    assert "a" not in short_names("a.shop.svc.cluster.local", "other")
    assert short_names("example.org", "shop") == ["example.org"]
    assert covers("*.example.org", "a.example.org")
    assert covers("*", "a")
    assert not covers("*.example.org", "example.org")
    assert not covers("a.example.org", "*.example.org")
    assert intersection("*", "a.b") == intersection("a.b", "*.b") == "a.b"
    assert intersection("a.b", "c.b") is None


@pytest.mark.parametrize(
    ("name", "app_protocol", "expected"),
    [
        *(("http", None, HTTP), ("http-web", None, HTTP), ("grpc-api", None, HTTP2), ("tcp-x", None, TCP)),
        *(("https", None, TLS), ("web", None, HTTP), ("redis", None, TCP), ("tcp", "http", HTTP)),
        ("web", "kubernetes.io/h2c", HTTP2),
    ],
)
def test_protocol_of_a_port(name, app_protocol, expected):
    assert protocol_of(name, app_protocol) == expected


def test_workload_names():
    meta = {"name": "s2-v1-6d5f-x2x", "namespace": "shop", "labels": {"pod-template-hash": "6d5f"}}
    owner = {"kind": "ReplicaSet", "name": "s2-v1-6d5f", "controller": True}
    assert workload_of({"metadata": meta | {"ownerReferences": [owner]}}).workload == "s2-v1"
    job = {"kind": "Job", "name": "loader", "controller": True}
    assert workload_of({"metadata": meta | {"ownerReferences": [job]}}).workload == "loader"
    assert workload_of({"metadata": meta}).workload == "s2-v1-6d5f-x2x"


def test_retries():
    assert retry_policy(None)["num_retries"] == 2
    assert retry_policy(None)["retry_on"] == DEFAULT_RETRY_ON
    assert "5xx" not in DEFAULT_RETRY_ON
    assert retry_policy({"attempts": 0}) is None
    found = retry_policy({"attempts": 3, "retryOn": "connect-failure,503, reset", "perTryTimeout": "250ms"})
    assert found["retry_on"] == "connect-failure,reset,retriable-status-codes"
    assert found["retriable_status_codes"] == [503]
    assert found["per_try_timeout"] == "0.25s"


RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {spec}
"""


def music_cluster(store: Store, subset: str = "", proxy: Proxy | None = None) -> dict:
    return translate(store, proxy or sidecar()).clusters[
        outbound_name("music.shop.svc.cluster.local", 8000, subset)
    ]


SERVICES = "\n---\n".join(part for part in WORLD.split("---") if "kind: Service" in part)


def test_defaults_are_istios():
    cluster = music_cluster(store_of(SERVICES))
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert cluster["connect_timeout"] == "10s"
    assert "outlier_detection" not in cluster
    assert set(cluster["circuit_breakers"]["thresholds"][0].values()) == {2**32 - 1}
    options = cluster["typed_extension_protocol_options"]
    [http] = options.values()
    assert http["common_http_protocol_options"]["idle_timeout"] == "30s"


def test_destination_rule_policies_by_level():
    spec = {
        "host": "music",
        "trafficPolicy": {
            "loadBalancer": {"simple": "ROUND_ROBIN"},
            "connectionPool": {
                "tcp": {"maxConnections": 7, "connectTimeout": "2s"},
                "http": {"idleTimeout": "9s"},
            },
        },
        "subsets": [
            {
                "name": "v1",
                "labels": {"version": "v1"},
                "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}},
            },
            {
                "name": "v2",
                "labels": {"version": "v2"},
                "trafficPolicy": {
                    "portLevelSettings": [
                        {"port": {"number": 8000}, "outlierDetection": {"consecutiveGatewayErrors": 3}}
                    ]
                },
            },
        ],
    }
    store = store_of(SERVICES, RULE.format(name="music", spec=json.dumps(spec)))
    base, v1, v2 = (music_cluster(store, subset) for subset in ("", "v1", "v2"))
    assert (base["lb_policy"], v1["lb_policy"], v2["lb_policy"]) == ("ROUND_ROBIN", "RANDOM", "LEAST_REQUEST")
    assert base["circuit_breakers"]["thresholds"][0]["max_connections"] == 7
    assert v1["connect_timeout"] == "2s"
    assert v2["connect_timeout"] == "10s"
    assert v2["outlier_detection"]["enforcing_consecutive_gateway_failure"] == 100
    assert "outlier_detection" not in v1


def test_destination_rule_of_the_clients_namespace_wins():
    rules = {
        ns: RULE.format(
            name="music",
            spec=json.dumps(
                {"host": "music.shop.svc.cluster.local", "trafficPolicy": {"loadBalancer": {"simple": lb}}}
            ),
        ).replace("metadata: {", f"metadata: {{namespace: {ns}, ")
        for ns, lb in (("shop", "RANDOM"), ("other", "ROUND_ROBIN"))
    }
    store = store_of(SERVICES, *rules.values())
    assert music_cluster(store)["lb_policy"] == "RANDOM"
    client = proxy_of({}, [{"name": "istio-proxy"}, {"name": "app"}], "other")
    assert music_cluster(store, proxy=client)["lb_policy"] == "ROUND_ROBIN"


def test_two_destination_rules_for_one_host_are_merged():
    parts = [
        RULE.format(
            name=v, spec=json.dumps({"host": "music", "subsets": [{"name": v, "labels": {"version": v}}]})
        )
        for v in ("v1", "v2")
    ]
    store = store_of(SERVICES, *parts)
    assert music_cluster(store, "v1")
    assert music_cluster(store, "v2")


def test_two_virtual_services_for_one_host_are_not_merged_by_sidecars():
    texts = [
        f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rule-{status}}}
spec: {{hosts: [music], http: [{{directResponse: {{status: {status}}}}}]}}
"""
        for status in (201, 202)
    ]
    hosts = translate(store_of(SERVICES, *texts), sidecar()).routes["http_proxy"]["virtual_hosts"]
    [music] = [host for host in hosts if "music:8000" in host["domains"]]
    assert [route["direct_response"]["status"] for route in music["routes"]] == [201]


def test_not_ready_endpoints_are_left_out():
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "music-1", "labels": {"kubernetes.io/service-name": "music"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": [
            {"addresses": ["127.101.1.1"], "conditions": {"ready": True}},
            {
                "addresses": ["127.101.1.2"],
                "conditions": {"ready": False, "serving": True, "terminating": True},
            },
            {"addresses": ["127.101.1.3"]},
        ],
    }
    [locality] = music_cluster(store_of(SERVICES, json.dumps(piece)))["load_assignment"]["endpoints"]
    addresses = [e["endpoint"]["address"]["socket_address"]["address"] for e in locality["lb_endpoints"]]
    assert addresses == ["127.101.1.1", "127.101.1.3"]


def test_without_a_gateway_object_nothing_listens():
    assert translate(store_of(SERVICES), GATEWAY).listeners == {}


ODD = """
apiVersion: v1
kind: Service
metadata: {name: odd}
spec:
  selector: {app: odd}
  ports:
  - {port: 1, name: tcp-a}
  - {port: 2, name: grpc-b}
  - {port: 3, name: c, targetPort: named}
  - {port: 53, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: without-ports}
spec: {selector: {app: odd}}
---
apiVersion: v1
kind: Service
metadata: {name: without-selector}
spec: {ports: [{port: 8000, name: http}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: many}
spec:
  hosts: ["*.wild.example", one.example, two.example]
  ports:
  - {number: 443, name: tls, protocol: TLS}
  - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
  resolution: STATIC
  endpoints:
  - {address: 127.101.0.8, ports: {tls: 8443}, weight: 3, labels: {version: v1}}
  - {address: 127.101.0.9}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: by-name}
spec: {hosts: [dns.example], ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: same-host-again}
spec: {hosts: [dns.example], ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: wild}
spec:
  host: "*.shop.svc.cluster.local"
  trafficPolicy:
    loadBalancer: {simple: LEAST_CONN}
    connectionPool:
      tcp: {maxConnections: 1, tcpKeepalive: {probes: 3, time: 7200s, interval: 75s}}
      http:
        http1MaxPendingRequests: 1
        http2MaxRequests: 2
        maxRequestsPerConnection: 3
        maxRetries: 4
        idleTimeout: 5s
    outlierDetection:
      consecutive5xxErrors: 0
      consecutiveGatewayErrors: 2
      interval: 1s
      baseEjectionTime: 1s
      maxEjectionPercent: 100
      minHealthPercent: 10
      splitExternalLocalOriginErrors: true
      consecutiveLocalOriginFailures: 2
    tls: {mode: ISTIO_MUTUAL}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: everything}
spec:
  hosts: [music, nobody.example, "*.nobody.example", "music.shop.svc.cluster.local"]
  gateways: [gw, mesh]
  http:
  - name: all of it
    match:
    - name: first
      uri: {regex: "/a|b"}
      ignoreUriCase: true
      scheme: {exact: http}
      method: {regex: "GET|PUT"}
      authority: {prefix: m}
      headers: {cookie: {regex: ".*"}, x-there: {}}
      withoutHeaders: {x-not: {prefix: a}, x-none: {}}
      queryParams: {q: {}, r: {exact: ""}, s: {regex: "."}}
    - uri: {exact: /x}
    route:
    - destination: {host: music, subset: v1}
      weight: 1
      headers: {request: {set: {host: h.example, x-y: "1"}}}
    - {destination: {host: no-such-service, port: {number: 5}}, weight: 4294967}
    - {destination: {host: music, subset: no-such-subset}, weight: 0}
    timeout: 1h30m
    retries:
      attempts: 3
      perTryTimeout: 1.5s
      retryOn: "5xx,gateway-error,503"
      backoff: 5ms
      retryIgnorePreviousHosts: false
    fault:
      delay: {fixedDelay: 5ms, percentage: {value: 0.01}}
      abort: {httpStatus: 599, percentage: {value: 99.99}}
    mirrors:
    - {destination: {host: music}, percentage: {value: 1}}
    - {destination: {host: store, port: {number: 80}}}
    corsPolicy:
      allowOrigins: [{regex: ".*"}, {prefix: "https://"}]
      allowMethods: [GET]
      allowHeaders: [x-a]
      exposeHeaders: [x-b]
      maxAge: 24h
      allowCredentials: true
    headers: {request: {add: {x-a: "100%%"}, remove: [x-z]}, response: {set: {x-b: "1"}, remove: [server]}}
    rewrite: {uri: /, authority: a.example}
  - match: [{uri: {prefix: /r}}]
    redirect: {uri: /new, authority: a.example, port: 8080, scheme: https, redirectCode: 307}
  - match: [{uri: {prefix: /d}}]
    directResponse: {status: 503, body: {string: "100 %"}}
  - match: [{uri: {prefix: /e}}]
    directResponse: {status: 200, body: {bytes: aGVsbG8=}}
  - match: [{uri: {prefix: /w}}]
    rewrite: {uriRegexRewrite: {match: "^/w/(.*)$", rewrite: "/\\\\1"}}
    route: [{destination: {host: one.example, port: {number: 80}}}]
  - route: [{destination: {host: music}, weight: 0}, {destination: {host: store}, weight: 0}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: empty}
spec: {hosts: [store]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: second}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["shop/*", "./a.example", "other/b.example", "*.nobody.example"]
"""


def static(config: Configuration, proxy: Proxy) -> dict:
    """Put all resources into a bootstrap: `envoy --mode validate` reads no discovery files."""
    result = bootstrap(proxy, Folder(Path("/nowhere")))
    del result["dynamic_resources"]
    for cluster in copy.deepcopy(list(config.clusters.values())):
        del cluster["@type"]
        result["static_resources"]["clusters"].append(cluster)
    for listener in copy.deepcopy(list(config.listeners.values())):
        del listener["@type"]
        for chain in listener["filter_chains"]:
            manager = chain["filters"][0]["typed_config"]
            if "rds" in manager:
                routes = dict(config.routes[manager.pop("rds")["route_config_name"]])
                del routes["@type"]
                manager["route_config"] = routes
        result["static_resources"]["listeners"].append(listener)
    return result


def validate(bootstrap_json: dict, file: Path) -> str:
    """Return what Envoy says. (1.40 crashes after its OK, as it takes a stats access logger down.)"""
    file.write_text(json.dumps(bootstrap_json))
    argv = [str(envoy_binary()), "--mode", "validate", "-c", str(file), "-l", "error"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "proxy", [sidecar(app="odd"), sidecar(app="music"), GATEWAY], ids=["odd", "music", "gateway"]
)
def test_envoy_takes_odd_objects(tmp_path, proxy):
    config = translate(store_of(WORLD, ODD), proxy, tmp_path)
    file = tmp_path / "envoy.json"
    answer = validate(static(config, proxy), file)
    assert f"configuration '{file}' OK" in answer, answer


def test_envoys_validation_sees_into_routes(tmp_path):
    """The test above could not fail otherwise."""
    config = translate(store_of(WORLD, ODD.replace('{regex: "/a|b"}', '{regex: "("}')), GATEWAY, tmp_path)
    answer = validate(static(config, GATEWAY), tmp_path / "envoy.json")
    assert "missing )" in answer
    assert "OK" not in answer


def test_odd_objects_meet_all_of_the_translation():
    """What Envoy was asked to validate above really holds the odd parts."""
    config = translate(store_of(WORLD, ODD), sidecar(app="odd"))
    text = json.dumps([config.clusters, config.listeners, config.routes])
    for word in ("uriRegex", "None"):
        assert word not in text
    for word in (
        *("regex_rewrite", "request_mirror_policies", "typed_per_filter_config", "weighted_clusters"),
        *("invert_match", "host_rewrite_literal", "path_redirect", "inline_bytes", "tcp_keepalive"),
    ):
        assert word in text, word
    domains = [d for host in config.routes["http_proxy"]["virtual_hosts"] for d in host["domains"]]
    assert len(domains) == len(set(domains))
    assert {"*.wild.example:443", "*.nobody.example"} <= set(domains)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_projects_own_definitions(tmp_path, variant):
    """The chart and cluster/: no field is refused, and Envoy takes what they become."""
    store = store_of()
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c756ns"}})
    files = [document for found in cluster_files().values() for document in found]
    for document in [*rendered(variant), *files]:
        obj = copy.deepcopy(document.obj)
        assert support.problems(obj) == []
        known = ("Service", "VirtualService", "DestinationRule", "Gateway", "ServiceEntry")
        if obj["kind"] in known and not store.find(obj["kind"], "c756ns", obj["metadata"]["name"]):
            obj["metadata"]["namespace"] = "c756ns"
            store.create(obj)
    database = proxy_of({"app": "cmpt756db"}, sidecar_containers(30002), "c756ns")
    for proxy in (GATEWAY, database):
        file = tmp_path / "envoy.json"
        answer = validate(static(translate(store, proxy, tmp_path), proxy), file)
        assert f"configuration '{file}' OK" in answer, answer
