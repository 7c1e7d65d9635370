"""The check: what it refuses, with which path and reason, and what it lets pass."""

import copy
import json
import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import ROOT, VARIANTS, cluster_files, rendered
from tools.check import documents, istio, kubernetes, models, problem, references, run, schema, subsets
from tools.check.documents import Document

SWITCH = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cmpt756s2}
spec:
  hosts: ["*"]
  gateways: [c756-gateway]
  http:
    - match:
        - uri: {prefix: /api/v1/music}
      route:
        - destination: {host: cmpt756s2, subset: v1, port: {number: 30001}}
          weight: 90
        - destination: {host: cmpt756s2, subset: v2, port: {number: 30001}}
          weight: 10
      timeout: 10s
      retries: {attempts: 2, retryOn: connect-failure}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cmpt756s2}
spec:
  host: cmpt756s2
  trafficPolicy:
    connectionPool: {http: {idleTimeout: 30s}}
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dynamodb}
spec:
  hosts: [dynamodb.example]
  ports: [{number: 8000, name: tcp, protocol: TCP}]
  addresses: [10.0.0.1]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: other}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p}
spec:
  selector: {matchLabels: {app: a}}
  action: ALLOW
  rules:
    - from: [{source: {principals: [a]}}]
      to: [{operation: {ports: ["80"]}}]
"""
PEERS = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p}
spec:
  selector: {matchLabels: {app: a}}
  mtls: {mode: STRICT}
  portLevelMtls: {80: {mode: PERMISSIVE}}
"""
MONITOR = """
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: m}
spec:
  selector: {matchLabels: {app: a}}
  endpoints: [{port: http, interval: 30s}]
"""
DEPLOYMENT = (ROOT / "cluster" / "s2-dpl-v2.yaml").read_text(encoding="utf-8")
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: extra}
spec:
  selector: {app: a}
  ports: [{name: http, port: 80}]
"""

ROUTE = ("spec", "http", 0)
POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
GONE = object()

# Base, path, new value (GONE: the field is removed), the problems in full.
BAD: list[tuple[str, tuple[str | int, ...], Any, list[str]]] = [
    # Schemas: unknown fields, types, enums, what is required.
    (
        SWITCH,
        (*ROUTE, "route", 1, "weigth"),
        10,
        ["spec.http[0].route[1].weigth: unknown field; did you mean weight?"],
    ),
    (
        SWITCH,
        (*ROUTE, "route", 1, "weight"),
        "10",
        ['spec.http[0].route[1].weight: must be a whole number, not the string "10"'],
    ),
    (
        SWITCH,
        (*ROUTE, "route", 1, "weight"),
        1.5,
        ["spec.http[0].route[1].weight: must be a whole number, not 1.5"],
    ),
    (SWITCH, (*ROUTE, "timeout"), 10, ["spec.http[0].timeout: must be a string, not 10"]),
    (SWITCH, (*ROUTE, "timeout"), None, ["spec.http[0].timeout: must be a string, not null"]),
    (SWITCH, ("spec", "http"), {}, ["spec.http: must be a list, not an object"]),
    (
        SWITCH,
        (*ROUTE, "route", 0, "destination", "host"),
        GONE,
        ["spec.http[0].route[0].destination.host: is required"],
    ),
    (
        SWITCH,
        (*ROUTE, "match", 0, "uri"),
        {"prefix": "/a", "exact": "/b"},
        ["spec.http[0].match[0].uri: only one of exact, prefix, regex may be set, not exact and prefix"],
    ),
    (SWITCH, ("spec", "gatways"), [], ["spec.gatways: unknown field; did you mean gateways?"]),
    (SWITCH, ("metadata", "lables"), {}, ["metadata.lables: unknown field; did you mean labels?"]),
    (SWITCH, ("metadata", "labels"), {"a": 1}, ["metadata.labels.a: must be a string, not 1"]),
    (SWITCH, ("sepc",), {}, ["sepc: unknown field; did you mean spec?"]),
    (SWITCH, ("metadata", "name"), GONE, ["metadata.name: is required"]),
    (SWITCH, ("kind",), GONE, ["kind: is required"]),
    (
        SWITCH,
        ("apiVersion",),
        "networking.istio.io/v2",
        [
            (
                "kind: Kubernetes 1.34, Istio and the Prometheus operator have no kind VirtualService in"
                " networking.istio.io/v2"
            )
        ],
    ),
    (
        RULE,
        ("spec", "trafficPolicy", "tls"),
        {"mode": "MTLS"},
        [
            (
                "spec.trafficPolicy.tls.mode: must be one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL,"
                ' not the string "MTLS"'
            )
        ],
    ),
    (
        RULE,
        ("spec", "trafficPolicy", "loadBalancer"),
        {"simple": "RANDOM", "consistentHash": {"useSourceIp": True}},
        [
            (
                "spec.trafficPolicy.loadBalancer: only one of consistentHash, simple may be set,"
                " not consistentHash and simple"
            )
        ],
    ),
    (
        MONITOR,
        ("spec", "endpoints", 0, "intervall"),
        "3s",
        ["spec.endpoints[0].intervall: unknown field; did you mean interval?"],
    ),
    (MONITOR, ("spec", "selector"), GONE, ["spec.selector: is required"]),
    (DEPLOYMENT, ("spec", "replica"), 2, ["spec.replica: unknown field; did you mean replicas?"]),
    (DEPLOYMENT, ("spec", "replicas"), "2", ['spec.replicas: must be a whole number, not the string "2"']),
    (DEPLOYMENT, ("spec", "replicas"), -1, ["spec.replicas: must be at least 0, not -1"]),
    (
        DEPLOYMENT,
        (*CONTAINER, "imagePullPolicy"),
        "always",
        [
            (
                "spec.template.spec.containers[0].imagePullPolicy: must be one of Always, Never,"
                ' IfNotPresent, not the string "always"'
            )
        ],
    ),
    (
        DEPLOYMENT,
        (*CONTAINER, "ports", 0, "containerPort"),
        70000,
        ["spec.template.spec.containers[0].ports[0].containerPort: must be at most 65535, not 70000"],
    ),
    (
        DEPLOYMENT,
        (*CONTAINER, "livenessProbe", "httpget"),
        {},
        ["spec.template.spec.containers[0].livenessProbe.httpget: unknown field; did you mean httpGet?"],
    ),
    (DEPLOYMENT, ("spec", "selector"), GONE, ["spec.selector: is required"]),
    # Rules of the API server.
    (
        DEPLOYMENT,
        ("spec", "selector", "matchLabels", "version"),
        "v1",
        ["spec.selector.matchLabels.version: version=v1 is not among the labels of the template"],
    ),
    (
        DEPLOYMENT,
        (*CONTAINER, "volumeMounts", 0, "name"),
        "temp",
        ['spec.template.spec.containers[0].volumeMounts[0].name: there is no volume "temp"'],
    ),
    (
        DEPLOYMENT,
        (*CONTAINER, "readinessProbe", "httpGet", "port"),
        "web",
        ['spec.template.spec.containers[0].readinessProbe.httpGet.port: the container has no port "web"'],
    ),
    (
        DEPLOYMENT,
        (*CONTAINER, "resources", "requests", "memory"),
        "1Gi",
        ["spec.template.spec.containers[0].resources.requests.memory: must not be above the limit of 256Mi"],
    ),
    (
        DEPLOYMENT,
        (*CONTAINER, "resources", "limits", "cpu"),
        "1 core",
        [
            (
                'spec.template.spec.containers[0].resources.limits.cpu: "1 core" is not a quantity such as'
                " 100m, 1.5 or 64Mi"
            )
        ],
    ),
    (DEPLOYMENT, (*CONTAINER, "image"), "", ["spec.template.spec.containers[0].image: is required"]),
    (
        DEPLOYMENT,
        ("spec", "strategy", "rollingUpdate"),
        {"maxSurge": 0, "maxUnavailable": "0%"},
        ["spec.strategy.rollingUpdate: maxSurge and maxUnavailable must not both be 0"],
    ),
    (
        DEPLOYMENT,
        (*POD, "restartPolicy"),
        "Never",
        ["spec.template.spec.restartPolicy: must be Always in a Deployment, not Never"],
    ),
    (
        DEPLOYMENT,
        ("metadata", "name"),
        "CMPT756",
        [
            (
                'metadata.name: "CMPT756" must be of a-z, 0-9, "-" and ".", and begin and end with a letter'
                " or digit"
            )
        ],
    ),
    (
        SERVICE,
        ("spec", "ports"),
        [{"port": 80}, {"port": 81, "name": "b"}],
        ["spec.ports[0].name: is required where there is more than one port"],
    ),
    # Rules of Istio: VirtualService.
    (
        SWITCH,
        (*ROUTE, "route", 0, "weight"),
        -1,
        ["spec.http[0].route[0].weight: must not be negative, not -1"],
    ),
    (
        SWITCH,
        (*ROUTE, "route"),
        [{"destination": {"host": "cmpt756s2", "subset": s}, "weight": 0} for s in ("v1", "v2")],
        ["spec.http[0].route: the weights are all 0: at least one destination needs a weight above 0"],
    ),
    (SWITCH, ("spec", "hosts"), [], ["spec.hosts: must name at least one host"]),
    (SWITCH, ("spec", "hosts"), ["*", "*"], ['spec.hosts[1]: "*" stands twice']),
    (SWITCH, ("spec", "hosts"), ["a_b!"], ['spec.hosts[0]: "a_b!" is not a host name']),
    (
        SWITCH,
        ("spec", "gateways"),
        GONE,
        ['spec.hosts[0]: "*" is for gateways only: sidecars (gateway "mesh") need a host name'],
    ),
    (SWITCH, ("spec", "http"), [], ["spec.http: needs at least one route (or tls, tcp)"]),
    (
        SWITCH,
        (*ROUTE, "route"),
        GONE,
        ["spec.http[0].route: is required (or redirect, directResponse, delegate)"],
    ),
    (
        SWITCH,
        (*ROUTE, "redirect"),
        {"uri": "/x"},
        ["spec.http[0]: only one of route and redirect may be set"],
    ),
    (
        SWITCH,
        (*ROUTE, "timeout"),
        "10",
        ['spec.http[0].timeout: "10" is not a duration such as 1.5s, 300ms or 1h30m'],
    ),
    (SWITCH, (*ROUTE, "timeout"), "0s", ["spec.http[0].timeout: must be at least 1ms, not 0s"]),
    (SWITCH, (*ROUTE, "timeout"), "1500us", ["spec.http[0].timeout: must be whole milliseconds, not 1500us"]),
    (SWITCH, (*ROUTE, "timeout"), "-1s", ["spec.http[0].timeout: must be at least 1ms, not -1s"]),
    (
        SWITCH,
        (*ROUTE, "retries", "retryOn"),
        "connect-failure,5xxx",
        ['spec.http[0].retries.retryOn: "5xxx" is neither a condition that Envoy knows nor an HTTP status'],
    ),
    (
        SWITCH,
        (*ROUTE, "retries", "attempts"),
        -2,
        ["spec.http[0].retries.attempts: must not be negative, not -2"],
    ),
    (
        SWITCH,
        (*ROUTE, "retries", "attempts"),
        0,
        [
            (
                "spec.http[0].retries.attempts: 0 switches retries off, so perTryTimeout and retryOn must not"
                " be set"
            )
        ],
    ),
    (SWITCH, (*ROUTE, "fault"), {}, ["spec.http[0].fault: needs a delay or an abort"]),
    (
        SWITCH,
        (*ROUTE, "fault"),
        {"delay": {"percentage": {"value": 101}, "fixedDelay": "1s"}},
        ["spec.http[0].fault.delay.percentage.value: must be 0 or between 0.0001 and 100, not 101"],
    ),
    (
        SWITCH,
        (*ROUTE, "fault"),
        {"abort": {"percentage": {"value": -1}, "httpStatus": 503}},
        ["spec.http[0].fault.abort.percentage.value: must be 0 or between 0.0001 and 100, not -1"],
    ),
    (
        SWITCH,
        (*ROUTE, "fault"),
        {"delay": {"percentage": {"value": 10}, "fixedDelay": "soon"}},
        ['spec.http[0].fault.delay.fixedDelay: "soon" is not a duration such as 1.5s, 300ms or 1h30m'],
    ),
    (
        SWITCH,
        (*ROUTE, "fault"),
        {"delay": {"percentage": {"value": 10}}},
        ["spec.http[0].fault.delay.fixedDelay: is required"],
    ),
    (
        SWITCH,
        (*ROUTE, "fault"),
        {"abort": {"percentage": {"value": 10}, "httpStatus": 700}},
        ["spec.http[0].fault.abort.httpStatus: must be between 200 and 599, not 700"],
    ),
    (
        SWITCH,
        (*ROUTE, "fault"),
        {"abort": {"percentage": {"value": 10}}},
        ["spec.http[0].fault.abort.httpStatus: is required (or grpcStatus)"],
    ),
    (
        SWITCH,
        (*ROUTE, "match", 0, "uri"),
        {"regex": "/a(?=b)"},
        [
            (
                'spec.http[0].match[0].uri.regex: "/a(?=b)" has a look-around or a back-reference, which'
                " Envoy (RE2) does not know"
            )
        ],
    ),
    (
        SWITCH,
        (*ROUTE, "match", 0, "uri"),
        {"prefix": ""},
        ["spec.http[0].match[0].uri.prefix: must not be empty"],
    ),
    (
        SWITCH,
        (*ROUTE, "mirrorPercentage"),
        {"value": 200},
        ["spec.http[0].mirrorPercentage.value: must be 0 or between 0.0001 and 100, not 200"],
    ),
    # Rules of Istio: other kinds.
    (
        RULE,
        ("spec", "subsets", 1, "name"),
        "v1",
        ['spec.subsets[1].name: subset "v1" is defined twice'],
    ),
    (
        RULE,
        ("spec", "trafficPolicy", "connectionPool", "http", "idleTimeout"),
        "half a minute",
        [
            (
                'spec.trafficPolicy.connectionPool.http.idleTimeout: "half a minute" is not a duration such'
                " as 1.5s, 300ms or 1h30m"
            )
        ],
    ),
    (
        RULE,
        ("spec", "trafficPolicy", "outlierDetection"),
        {"maxEjectionPercent": 101},
        ["spec.trafficPolicy.outlierDetection.maxEjectionPercent: must be between 0 and 100, not 101"],
    ),
    (ENTRY, ("spec", "hosts"), ["*"], ['spec.hosts[0]: "*" is too wide']),
    (
        ENTRY,
        ("spec", "endpoints"),
        GONE,
        ["spec.endpoints: resolution STATIC needs them (or a workloadSelector)"],
    ),
    (
        ENTRY,
        ("spec", "endpoints", 0, "address"),
        "dynamodb.example",
        ['spec.endpoints[0].address: "dynamodb.example" is not an IP address, as resolution STATIC needs it'],
    ),
    (ENTRY, ("spec", "ports", 0, "number"), 0, ["spec.ports[0].number: must be between 1 and 65535, not 0"]),
    (
        ENTRY,
        ("spec", "ports", 0, "protocol"),
        "TCPX",
        [
            (
                'spec.ports[0].protocol: "TCPX" is not a protocol: GRPC, GRPC-WEB, HBONE, HTTP, HTTP2,'
                " HTTP_PROXY, HTTPS, MONGO, MYSQL, REDIS, TCP, TLS, UDP"
            )
        ],
    ),
    (
        ENTRY,
        ("spec", "addresses"),
        ["10.0.0.300"],
        ['spec.addresses[0]: "10.0.0.300" is neither an IP address nor a network such as 10.0.0.0/8'],
    ),
    (GATEWAY, ("spec", "servers"), [], ["spec.servers: needs at least one server"]),
    (
        GATEWAY,
        ("spec", "servers", 0, "port", "number"),
        0,
        ["spec.servers[0].port.number: must be between 1 and 65535, not 0"],
    ),
    (
        GATEWAY,
        ("spec", "servers", 0, "port", "protocol"),
        "HTTPS",
        ["spec.servers[0].tls: is required by protocol HTTPS"],
    ),
    (
        POLICY,
        ("spec", "action"),
        "Allow",
        ['spec.action: must be one of ALLOW, DENY, AUDIT, CUSTOM, not the string "Allow"'],
    ),
    (
        POLICY,
        ("spec", "rules", 0, "from"),
        [],
        ["spec.rules[0].from: must not be empty: leave it out to match all"],
    ),
    (
        POLICY,
        ("spec", "rules", 0, "to", 0, "operation", "ports"),
        ["http"],
        ['spec.rules[0].to[0].operation.ports[0]: "http" is not a port between 1 and 65535'],
    ),
    (PEERS, ("spec", "selector"), GONE, ["spec.portLevelMtls: needs a selector with matchLabels"]),
    (
        PEERS,
        ("spec", "mtls", "mode"),
        "ON",
        ['spec.mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not the string "ON"'],
    ),
    # References.
    (
        SWITCH,
        (*ROUTE, "route", 1, "destination", "subset"),
        "v3",
        [
            (
                "spec.http[0].route[1].destination.subset: no DestinationRule of cmpt756s2 defines subset"
                ' "v3"; there is v1, v2'
            )
        ],
    ),
    (
        SWITCH,
        (*ROUTE, "route", 1, "destination", "port", "number"),
        30009,
        ["spec.http[0].route[1].destination.port.number: cmpt756s2 has no port 30009, only 30001"],
    ),
    (
        SWITCH,
        ("spec", "gateways"),
        ["c756"],
        ['spec.gateways[0]: there is no Gateway "c756"; there is c756ns/c756-gateway'],
    ),
    (
        DEPLOYMENT,
        (*POD, "serviceAccountName"),
        "s2",
        ['spec.template.spec.serviceAccountName: there is no ServiceAccount "s2" in namespace c756ns'],
    ),
    (
        RULE,
        ("metadata", "name"),
        "another",
        [
            "spec.trafficPolicy: DestinationRule/cmpt756s2 has one for host cmpt756s2 already",
            'spec.subsets[0].name: DestinationRule/cmpt756s2 defines subset "v1" of cmpt756s2 already',
            'spec.subsets[1].name: DestinationRule/cmpt756s2 defines subset "v2" of cmpt756s2 already',
        ],
    ),
]


def changed(base: str, path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The base document with another value at a path."""
    [document] = documents.read(base, "base")[0]
    obj = copy.deepcopy(document.obj)
    place: Any = obj
    for part in path[:-1]:
        place = place[part]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return obj


def said(obj: dict[str, Any], context: list[Document] | None = None) -> list[str]:
    found = run.check([Document(obj)], rendered() if context is None else context)
    return [f"{item.path}: {item.reason}" for item in found]


@pytest.mark.parametrize("base", [SWITCH, RULE, ENTRY, GATEWAY, POLICY, PEERS, MONITOR, DEPLOYMENT, SERVICE])
def test_the_documents_that_the_bad_ones_come_from_are_good(base: str) -> None:
    [document] = documents.read(base, "base")[0]
    assert said(document.obj) == []


@pytest.mark.parametrize(("base", "path", "value", "expected"), BAD, ids=[item[3][0][:70] for item in BAD])
def test_bad_documents(base: str, path: tuple[str | int, ...], value: object, expected: list[str]) -> None:
    assert said(changed(base, path, value)) == expected


def test_a_host_that_is_not_there() -> None:
    [problem] = run.check(
        [Document(changed(SWITCH, (*ROUTE, "route", 0, "destination", "host"), "cmpt756s3"))], rendered()
    )
    assert problem.path == "spec.http[0].route[0].destination.host"
    assert problem.reason.startswith(
        'there is no Service or ServiceEntry "cmpt756s3"; there is cmpt756db.c756ns.svc'
    )


def test_two_virtual_services_of_one_host() -> None:
    delay = cluster_files()["db-vs-delay.yaml"][0].obj
    second = copy.deepcopy(delay)
    second["metadata"]["name"] = "slow"
    found = run.check([Document(delay, "a.yaml"), Document(second, "b.yaml")], rendered())
    assert [str(item) for item in found] == [
        (
            'a.yaml: VirtualService/cmpt756db: spec.hosts[0]: VirtualService/slow has host "cmpt756db"'
            " already: sidecars do not merge two"
        ),
        (
            'b.yaml: VirtualService/slow: spec.hosts[0]: VirtualService/cmpt756db has host "cmpt756db"'
            " already: sidecars do not merge two"
        ),
    ]


def test_two_virtual_services_of_one_route() -> None:
    second = changed(SWITCH, ("metadata", "name"), "music")
    context = [*rendered(), *documents.read(SWITCH, "")[0]]
    assert said(second, context) == [
        "spec.http[0].match: VirtualService/cmpt756s2 routes the same requests already"
    ]


def test_one_name_twice_in_a_file_but_not_in_two() -> None:
    [document] = documents.read(SWITCH, "a.yaml")[0]
    twice = run.check([document, document], rendered())
    assert [str(item) for item in twice] == [
        (
            "a.yaml: VirtualService/cmpt756s2: metadata.name: VirtualService/cmpt756s2 stands twice in"
            " namespace c756ns"
        )
    ]
    [other] = documents.read(SWITCH, "b.yaml")[0]
    assert run.check([document, other], rendered()) == []


def test_qualified_hosts_and_namespaces() -> None:
    full = changed(SWITCH, (*ROUTE, "route", 0, "destination", "host"), "cmpt756s2.c756ns.svc.cluster.local")
    assert said(full) == []
    assert said(changed(SWITCH, ("spec", "gateways"), ["c756ns/c756-gateway"])) == []
    elsewhere = changed(SWITCH, ("metadata", "namespace"), "elsewhere")
    assert {line.split(":")[0] for line in said(elsewhere)} == {
        "spec.gateways[0]",
        "spec.http[0].route[0].destination.host",
        "spec.http[0].route[1].destination.host",
    }


def test_what_a_server_adds_is_accepted() -> None:
    server = {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "generation": 3,
        "managedFields": [
            {
                "manager": "kubectl",
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {}},
            }
        ],
        "namespace": "c756ns",
        "resourceVersion": "12",
        "uid": "0d9a3a5e-0000-4000-8000-000000000000",
    }
    for base, status in (
        (SWITCH, {"conditions": [], "observedGeneration": "3"}),
        (DEPLOYMENT, {"replicas": 1, "readyReplicas": 1, "observedGeneration": 3}),
        (SERVICE, {"loadBalancer": {}}),
    ):
        obj = changed(base, ("status",), status)
        obj["metadata"].update(server)
        assert schema.errors(obj) == []
    assert schema.errors(changed(DEPLOYMENT, ("metadata", "creationTimestamp"), None)) == []


@pytest.mark.parametrize(
    "route",
    [
        [{"destination": {"host": "cmpt756s2", "subset": "v1"}, "weight": 0}],
        [
            {"destination": {"host": "cmpt756s2", "subset": s}, "weight": w}
            for s, w in (("v1", 0), ("v2", 100))
        ],
        [{"destination": {"host": "cmpt756s2", "subset": s}, "weight": w} for s, w in (("v1", 9), ("v2", 1))],
    ],
)
def test_weights_are_proportions(route: list[dict[str, Any]]) -> None:
    assert said(changed(SWITCH, (*ROUTE, "route"), route)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n\tb: 2\n", "f.yaml:2: not YAML: a tab where YAML allows spaces only"),
        ("kind: A\nspec:\n  a: 1\n  a: 2\n", "f.yaml:4: key 'a' stands twice, first in line 3"),
        ("", "f.yaml:1: holds no object"),
        ("# only a comment\n---\n", "f.yaml:1: holds no object"),
        ("a: [1\nb: 2\n", "f.yaml:2: not YAML: did not find expected ',' or ']'"),
        ("- 1\n", "f.yaml:1: a document must be an object with apiVersion and kind, not list"),
        ("kind: A\n---\nhello\n", "f.yaml:3: a document must be an object with apiVersion and kind, not str"),
        ("a: &a [*a]\n", "f.yaml:1: an object of more than 100 levels"),
        (
            "a: !!python/object:os.system x\n",
            "f.yaml:1: not YAML: could not determine a constructor for the tag",
        ),
        ("a: *b\n", "f.yaml:1: not YAML: found undefined alias"),
        ("? [a]\n: 1\n", "f.yaml:1: not YAML: a key must be text"),
    ],
)
def test_what_is_no_yaml(text: str, expected: str) -> None:
    found = [str(item) for item in documents.read(text, "f.yaml")[1]]
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_an_object_that_aliases_blow_up_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    [problem] = documents.read("\n".join(lines), "f.yaml")[1]
    assert problem.reason == "an object of more than 100000 values"


def test_scalars_are_kubectls() -> None:
    text = (
        "a: yes\nb: 0644\nc: 1e3\nd: 30:30\ne: 2026-01-01\nf: ~\ng: 0x10\nh: 'no'\n80: x\ni: 1_000\nj: .5\n"
    )
    [document] = documents.read(text, "")[0]
    assert document.obj == {
        "a": True, "b": 420, "c": 1000.0, "d": "30:30", "e": "2026-01-01", "f": None, "g": 16, "h": "no",
        "80": "x", "i": 1000, "j": 0.5,
    }  # fmt: skip


def test_merge_keys_and_lists_of_objects() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- &a {kind: A, x: 1}\n- {<<: *a, x: 2}\n"
    assert [item.obj for item in documents.read(text, "")[0]] == [
        {"kind": "A", "x": 1},
        {"kind": "A", "x": 2},
    ]


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(child, (*path, key))


def test_any_value_anywhere_is_answered_and_never_crashes() -> None:
    chance = random.Random(756)
    values = [None, "", "x", -1, 0, 10**9, 1.5, True, [], {}, [None], {"a": None}, "é\0", [[]], {"": 1}]
    objects = [item.obj for item in rendered("everything")]
    objects += [item.obj for file in cluster_files().values() for item in file]
    refused = 0
    for obj in objects:
        for path in chance.sample(every := list(places(obj)), min(20, len(every))):
            bad = changed(json.dumps(obj), path, chance.choice(values))
            found = run.check([Document(bad)], [Document(item) for item in objects if item is not obj][:4])
            assert all(str(item) for item in found)
            refused += bool(found)
    assert refused > len(objects) * 8


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_misspelt_field_is_found_wherever_it_stands(variant: str) -> None:
    chance = random.Random(variant)
    free = (
        "data",
        "labels",
        "annotations",
        "matchLabels",
        "selector",
        "limits",
        "requests",
        "environmentVariables",
        "portLevelMtls",
    )
    for item in rendered(variant):
        fields = [p for p in places(item.obj) if isinstance(p[-1], str) and not set(p[:-1]) & set(free)]
        fields = [p for p in fields if p[-1] not in {"apiVersion", "kind"}]
        path = chance.choice(fields)
        bad = copy.deepcopy(item.obj)
        place: Any = bad
        for part in path[:-1]:
            place = place[part]
        place[f"{path[-1]}Xx"] = place[path[-1]]
        found = schema.errors(bad)
        assert [item.path for item in found] == [problem.dotted((*path[:-1], f"{path[-1]}Xx"))]
        assert found[0].reason.startswith("unknown field")


def test_every_kind_that_is_named_has_a_schema() -> None:
    for api_version, (_, kinds) in models.MODELS.items():
        for kind in kinds:
            loaded = models.load(api_version, kind)
            assert loaded is not None
            assert "$defs" in loaded
    assert models.load("networking.istio.io/v1", "../x") is None
    assert models.load("v1", "Service") is None


def test_the_server_has_the_rules_without_the_references() -> None:
    """What a real API server accepts: a route that leads nowhere yet."""
    obj = changed(SWITCH, (*ROUTE, "route", 1, "destination", "subset"), "v3")
    assert schema.errors(obj) == istio.validate(obj) == kubernetes.validate(obj) == []
    [problem] = istio.problems([obj], [item.obj for item in rendered()])
    assert problem == references.problems([obj], [item.obj for item in rendered()])[0]


def test_subsets_with_a_share_of_the_traffic() -> None:
    assert subsets.served([changed(SWITCH, (*ROUTE, "timeout"), "1s")]) == ["v1", "v2"]
    assert subsets.served([changed(SWITCH, (*ROUTE, "route", 0, "weight"), 0)]) == ["v2"]
    assert subsets.served(item.obj for item in cluster_files()["s2-vs-v1.yaml"]) == ["v1"]
    assert subsets.served([yaml.safe_load(SERVICE)]) == []


def command(*arguments: str, module: str = "tools.check", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_on_the_projects_own_files() -> None:
    files = [f"cluster/{name}" for name in cluster_files()]
    done = command(*files)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_names_file_object_path_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(SWITCH.replace("weight: 90", "weight: -90"), encoding="utf-8")
    done = command(str(file))
    assert done.returncode == 1
    assert (
        done.stdout
        == f"{file}: VirtualService/cmpt756s2: spec.http[0].route[0].weight: must not be negative, not -90\n"
    )


def test_the_command_says_what_it_cannot_do(tmp_path: Path) -> None:
    done = command(str(tmp_path / "none.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"check: {tmp_path / 'none.yaml'}: No such file or directory\n"
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    assert command(str(tmp_path / "latin.yaml")).returncode == 2
    done = command("--set", "s1.replicas=two")
    assert done.returncode == 1
    assert done.stdout == "charts/c756: c756: - at '/s1/replicas': got string, want integer\n"


def test_the_command_with_another_context(tmp_path: Path) -> None:
    file = tmp_path / "switch.yaml"
    file.write_text(SWITCH, encoding="utf-8")
    assert command("--no-chart", str(file)).returncode == 1
    context = tmp_path / "context.yaml"
    context.write_text(yaml.safe_dump_all([item.obj for item in rendered()]), encoding="utf-8")
    done = command("--no-chart", "--context", str(context), str(file))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_command_asks_the_cluster(tmp_path: Path) -> None:
    file = tmp_path / "switch.yaml"
    file.write_text(SWITCH.replace("subset: v2", "subset: v3"), encoding="utf-8")
    live = tmp_path / "live.yaml"
    live.write_text(yaml.safe_dump(changed(RULE, ("spec", "subsets", 0, "name"), "v3")), encoding="utf-8")
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\ncase "$4" in destinationrules*) cat {live} ;; *) echo "{{kind: List, items: []}}" ;;'
        " esac\n",
        encoding="utf-8",
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    assert command(str(file)).returncode == 1
    done = command("--live", str(file), KUBECTL=str(kubectl))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    kubectl.write_text('#!/bin/sh\necho "the server is not there" >&2\nexit 1\n', encoding="utf-8")
    done = command("--live", str(file), KUBECTL=str(kubectl))
    assert done.returncode == 2
    assert done.stderr.endswith("the server is not there\n")
    done = command("--live", str(file), KUBECTL=str(tmp_path / "none"))
    assert done.stderr == f"check: {tmp_path / 'none'} is not there: install it or name it in KUBECTL\n"


def test_the_command_that_names_the_subsets(tmp_path: Path) -> None:
    done = command("cluster/s2-vs-v2.yaml", module="tools.check.subsets")
    assert (done.returncode, done.stdout) == (0, "v1\nv2\n")
    assert command(str(tmp_path / "none"), module="tools.check.subsets").returncode == 2


def test_the_check_is_fast() -> None:
    """Half a second is aimed at; the deadline has slack for a busy machine."""
    command("cluster/s2-vs-v2.yaml")
    since = time.monotonic()
    assert command("cluster/s2-vs-v2.yaml").returncode == 0
    assert time.monotonic() - since < 3
