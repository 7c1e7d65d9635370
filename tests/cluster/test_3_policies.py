"""Who may call whom: mTLS, authorization, pod security, network policies."""

import copy
import json
from typing import Any

import pytest
import yaml

from tests.cluster.clients import client_as, client_pod
from tests.cluster.cluster import ELSEWHERE, OUTSIDE, Cluster, skip_without
from tests.support.waiting import eventually

PORTS = {"cmpt756s1": 30000, "cmpt756s2": 30001, "cmpt756db": 30002}
DATASTORE = "http://cmpt756db.c756ns:30002/api/v1/datastore"
A_SONG = json.dumps({"objtype": "music", "Artist": "x", "SongTitle": "y"})


# --- outside the mesh -------------------------------------------------------------------------------------
@pytest.mark.parametrize("app", PORTS)
def test_from_outside_the_mesh_only_get_metrics(clients: Cluster, app: str) -> None:
    root = f"http://{app}.c756ns:{PORTS[app]}"
    ask = lambda path, **how: clients.ask("client", root + path, namespace=OUTSIDE, **how)  # noqa: E731
    assert ask("/metrics") == "200"
    paths = (
        "/",
        "/health",
        "/readiness",
        "/metrics/x",
        "//metrics/../api/v1/music/",
        "/api/v1/user/",
        "/api/v1/music/",
    )
    assert {path: ask(path) for path in paths} == dict.fromkeys(paths, "403")
    for method in ("POST", "PUT", "DELETE"):
        assert ask("/metrics", method=method, data="{}") == "403", method


def test_plaintext_to_db_is_refused(clients: Cluster) -> None:
    for method, path, data in (
        ("GET", "/list?objtype=music", ""),
        ("GET", "/read?objtype=music&objkey=x", ""),
        ("POST", "/write", A_SONG),
        ("POST", "/load", A_SONG),
        ("DELETE", "/delete?objtype=music&objkey=x", ""),
        ("GET", "/health", ""),
    ):
        got = clients.ask("client", DATASTORE + path, method=method, data=data, namespace=OUTSIDE)
        assert got == "403", (method, path)


def test_a_workload_without_a_port_of_its_own_takes_no_plaintext(clients: Cluster) -> None:
    """Only the services' port is PERMISSIVE; everything else of the namespace is STRICT."""
    server = client_pod(clients, "default", "strict")
    server["spec"]["containers"][0]["command"] = ["python3", "-m", "http.server", "8000", "-d", "/tmp"]
    clients.apply([server])
    try:
        clients.kubectl("-n c756ns wait --for=condition=Ready pod/strict --timeout=60s")
        address = clients.get("pod strict")["status"]["podIP"]
        # As a native sidecar it is ready before the server is.
        inside = f"http://{address}:8000/"
        eventually(lambda: clients.ask("strict", "http://127.0.0.1:8000/") == "200", 20, "the server")
        assert clients.ask("client", inside, namespace=OUTSIDE) in (
            "ConnectionResetError",
            "URLError",
            "RemoteDisconnected",
        )
    finally:
        clients.kubectl("-n c756ns delete pod strict")


# --- identities of the mesh -------------------------------------------------------------------------------
def test_each_identity_reaches_what_it_needs_and_nothing_else(clients: Cluster) -> None:
    lists = {
        "s1": "http://cmpt756s1:30000/api/v1/user/",
        "s2": "http://cmpt756s2:30001/api/v1/music/",
        "db": "http://cmpt756db:30002/api/v1/datastore/list?objtype=music&limit=1",
    }
    got = {
        source: {name: clients.ask(f"deploy/cmpt756{source}", url) for name, url in lists.items()}
        for source in ("s1", "s2-v1", "db")
    }
    assert got == {
        "s1": {"s1": "403", "s2": "403", "db": "200"},
        "s2-v1": {"s1": "403", "s2": "403", "db": "200"},
        "db": {"s1": "403", "s2": "403", "db": "403"},
    }


def test_another_namespace_of_the_mesh_reaches_metrics_only(clients: Cluster) -> None:
    for app, port in PORTS.items():
        root = f"http://{app}.c756ns:{port}"
        assert clients.ask("client", f"{root}/metrics", namespace=ELSEWHERE) == "200"
        for path in ("/readiness", "/api/v1/music/", "/api/v1/user/", "/api/v1/datastore/list?objtype=user"):
            assert clients.ask("client", root + path, namespace=ELSEWHERE) == "403", (app, path)


def test_the_loader_may_load_and_nothing_else(clients: Cluster) -> None:
    with client_as(clients, "c756-loader") as pod:
        db = "http://cmpt756db:30002"
        # The mesh lets the call through; db itself asks for the loader's password.
        assert clients.ask(pod, f"{db}/api/v1/datastore/load", method="POST", data=A_SONG) == "401"
        assert clients.ask(pod, f"{db}/health") == "200"
        assert clients.ask(pod, f"{db}/api/v1/datastore/write", method="POST", data=A_SONG) == "403"
        assert clients.ask(pod, f"{db}/api/v1/datastore/list?objtype=user") == "403"
        assert clients.ask(pod, "http://cmpt756s2:30001/api/v1/music/") == "403"


def test_the_identity_of_helm_test_may_ask_for_readiness_alone(clients: Cluster) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "c756-test"}}
    clients.apply([account])  # helm test makes it, and removes it afterwards
    try:
        with client_as(clients, "c756-test") as pod:
            for app, port in PORTS.items():
                root = f"http://{app}:{port}"
                assert clients.ask(pod, f"{root}/readiness") == "200"
                for path in (
                    "/health",
                    "/api/v1/music/",
                    "/api/v1/user/",
                    "/api/v1/datastore/list?objtype=user",
                ):
                    assert clients.ask(pod, root + path) == "403", (app, path)
    finally:
        clients.kubectl("-n c756ns delete serviceaccount c756-test")


def test_the_callers_are_known_by_certificates(clients: Cluster) -> None:
    """Inside the mesh it is mutual TLS: db's sidecar knows its callers by their SPIFFE identity."""
    clients.call("GET", "/music/?limit=1")
    clients.call("GET", "/user/?limit=1")
    of_db = (
        'istio_requests_total{reporter="destination",destination_workload="cmpt756db",response_code="200"}'
    )

    def principals() -> set[str]:
        return {
            row["metric"].get("source_principal", "")
            for row in clients.query(f"sum by (source_principal) ({of_db})")
        }

    wanted = {f"spiffe://cluster.local/ns/c756ns/sa/cmpt756{name}" for name in ("s1", "s2")}
    eventually(lambda: wanted <= principals(), 30, "the callers' identities", pause=1)


# --- pod security -----------------------------------------------------------------------------------------
def our_pods(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Pod templates of everything that runs, as pods of the namespace OUTSIDE, by name."""
    documents = [
        *yaml.safe_load_all(
            cluster.run("tools/helm get manifest c756 -n c756ns; tools/helm get hooks c756 -n c756ns")
        )
    ]
    documents += [cluster.get(f"deploy cmpt756s2-{version}") for version in ("v1", "v2")]
    documents += [cluster.get("job c756-loader")]
    pods = {}
    for document in filter(None, documents):
        name = document["metadata"]["name"]
        if document["kind"] in ("Deployment", "Job"):
            spec = document["spec"]["template"]["spec"]
        elif document["kind"] == "Pod":
            spec = document["spec"]
        else:
            continue
        spec = {**spec, "serviceAccountName": "default"}
        spec.pop("serviceAccount", None)
        pods[name] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    return pods


def violations(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The same pod with one right too many each."""

    def changed(**fields: Any) -> dict[str, Any]:
        other = copy.deepcopy(pod)
        for name, value in fields.items():
            target = other["spec"] if name.startswith("pod_") else other["spec"]["containers"][0]
            target[name.removeprefix("pod_")] = value
        return other

    own = pod["spec"]["containers"][0]["securityContext"]
    whole = pod["spec"]["securityContext"]
    return {
        "privileged": changed(securityContext={**own, "allowPrivilegeEscalation": True, "privileged": True}),
        "capabilities.add": changed(
            securityContext={**own, "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}
        ),
        "capabilities.drop": changed(securityContext={**own, "capabilities": {}}),
        "allowPrivilegeEscalation": changed(securityContext={**own, "allowPrivilegeEscalation": True}),
        "runAsNonRoot": changed(pod_securityContext={**whole, "runAsNonRoot": False}),
        "runAsUser=0": changed(pod_securityContext={**whole, "runAsUser": 0}),
        "seccompProfile": changed(pod_securityContext={**whole, "seccompProfile": {"type": "Unconfined"}}),
        "hostNetwork": changed(pod_hostNetwork=True),
        "hostPath": changed(pod_volumes=[{"name": "tmp", "hostPath": {"path": "/"}}]),
    }


def test_restricted_pod_security(v1_only: Cluster, clients: Cluster) -> None:
    v1_only.s2("v2")
    pods = our_pods(clients)
    assert set(pods) == {"cmpt756s1", "cmpt756s2-v1", "cmpt756s2-v2", "cmpt756db", "c756-loader", "c756-test"}
    for pod in pods.values():
        assert "created" in clients.apply([pod], namespace=OUTSIDE, dry=True)
    for what, pod in violations(pods["cmpt756s1"]).items():
        out = clients.apply([pod], namespace=OUTSIDE, dry=True, ok=False)
        assert 'violates PodSecurity "restricted:latest"' in out, (what, out)


# --- network policies -------------------------------------------------------------------------------------
def test_network_policies(clients: Cluster) -> None:
    """A namespace that no policy names reaches nothing of c756ns, not even /metrics."""
    closed = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    server = client_pod(clients, "default", "server")
    server["spec"]["containers"][0]["command"] = ["python3", "-m", "http.server", "8000", "-d", "/tmp"]
    clients.apply([closed, server], namespace=OUTSIDE)
    try:
        clients.kubectl(f"-n {OUTSIDE} wait --for=condition=Ready pod/server --timeout=60s")
        eventually(
            lambda: clients.ask("server", "http://127.0.0.1:8000/", namespace=OUTSIDE) == "200",
            20,
            "the server",
        )
        address = json.loads(clients.kubectl(f"-n {OUTSIDE} get pod server -o json"))["status"]["podIP"]
        enforced = clients.ask("client", f"http://{address}:8000/", namespace=OUTSIDE) != "200"
    finally:
        clients.kubectl(f"-n {OUTSIDE} delete pod/server networkpolicy/closed")
    skip_without(enforced, "NetworkPolicy", "this cluster's network does not enforce them")
    for app, port in PORTS.items():
        assert clients.ask("client", f"http://{app}.c756ns:{port}/metrics", namespace=ELSEWHERE) == "503"
