"""What the other targets of k8s.mak do on a cluster, seen by their effect."""

import json
import re

import pytest

from tests.cluster.cluster import CONTEXT, Cluster, skip_without
from tests.support.waiting import eventually

PROBES = {"startupProbe", "livenessProbe", "readinessProbe"}


def make(cluster: Cluster, targets: str, *, ok: bool = True, **env: str) -> str:
    return cluster.run(f"make -s -f k8s.mak {targets}", ok=ok, seconds=400, **env)


def container(cluster: Cluster, name: str) -> dict:
    return cluster.get(f"deploy {name}")["spec"]["template"]["spec"]["containers"][0]


def revision(cluster: Cluster, name: str) -> int:
    return int(cluster.get(f"deploy {name}")["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def test_the_context_is_shown_and_named(cluster: Cluster) -> None:
    assert make(cluster, "showcontext") == f"{CONTEXT}\n"
    assert f"On '{CONTEXT}'" in make(cluster, "scratch", ok=False)
    assert cluster.pods()  # nobody said yes


def test_looking(cluster: Cluster) -> None:
    out = make(cluster, "ls")
    for name in (
        "pod/cmpt756s1-",
        "service/cmpt756s2 ",
        "virtualservice.networking.istio.io/cmpt756s2 ",
        "destinationrule.networking.istio.io/cmpt756db ",
    ):
        assert name in out
    out = make(cluster, "lsa")
    assert "istio-ingressgateway" in out
    assert "cmpt756db" in out
    row = next(line for line in make(cluster, "lsd").splitlines() if line.startswith("cmpt756db-"))
    assert row.split()[1:4] == ["v1", "cmpt756db", f"{cluster.images}/cmpt756db:v1"]
    assert "istio-proxy" in row


def test_logs(cluster: Cluster) -> None:
    cluster.call("GET", f"/music/{cluster.sample('music')[0]['music_id']}")
    cluster.call("GET", f"/user/{cluster.sample('users')[0]['user_id']}")
    for service in ("s1", "s2v1", "db"):
        lines = [
            json.loads(line) for line in make(cluster, f"log-{service}").splitlines() if line.startswith("{")
        ]
        assert any(line["message"] == "request" for line in lines), service


def test_shells(cluster: Cluster) -> None:
    for service, files in (("s1", "s1"), ("s2v1", "s2"), ("db", "db")):
        command = f"make -s -f k8s.mak shell-{service}"
        out = cluster.run(
            f"(sleep 3; echo 'ls; id -u'; sleep 1; echo exit) | script -qec '{command}' /dev/null"
        )
        assert ":/code$" in out, out
        assert re.search(rf"app\.py\s+(\S+\s+)*?{files}\b", out), out
        assert "10001" in out


def test_extern(cluster: Cluster) -> None:
    service = cluster.run("tools/kubectl -n istio-system get service istio-ingressgateway -o json")
    ingress = json.loads(service)["status"]["loadBalancer"].get("ingress")
    skip_without(ingress, "ingress gateway", "its service has no external address on this cluster")
    address = ingress[0].get("ip") or ingress[0]["hostname"]
    assert make(cluster, "extern") == f"{address} 80\n"


def test_gw_and_monitoring(cluster: Cluster) -> None:
    cluster.kubectl("-n c756ns delete gateway/c756-gateway servicemonitor/cmpt756db")
    assert "c756-gateway" in make(cluster, "gw")
    assert cluster.get("gateway c756-gateway")["spec"]["servers"]
    cluster.kubectl("-n c756ns delete servicemonitor/cmpt756db")
    out = make(cluster, "monitoring")
    assert {"cmpt756s1", "cmpt756s2", "cmpt756db"} <= set(out.split())
    assert cluster.get("servicemonitor cmpt756db")["spec"]["endpoints"][0]["interval"] == "30s"
    eventually(lambda: cluster.call("GET", "/music/?limit=1").status_code == 200, 10, "traffic")


@pytest.mark.parametrize(
    ("target", "name"), [("s1", "cmpt756s1"), ("db", "cmpt756db"), ("s2", "cmpt756s2-v1")]
)
def test_a_changed_service_is_built_and_rolled_out(v1_only: Cluster, target: str, name: str) -> None:
    file = {"s1": "s1/app.py", "db": "db/app.py", "s2": "s2/v1/app.py"}[target]
    text = (v1_only.root / file).read_text()
    before = {each: revision(v1_only, each) for each in ("cmpt756s1", "cmpt756db", "cmpt756s2-v1")}
    try:
        v1_only.edit(file, text, f"{text}# changed\n")
        make(v1_only, "clean")
        assert f"Building {v1_only.images}/" in make(v1_only, target)
        after = {each: revision(v1_only, each) for each in before}
        assert after == {**before, name: before[name] + 1}
        app = name.removesuffix("-v1")
        assert "# changed" in v1_only.kubectl(
            f"-n c756ns exec deploy/{name} -c {app} -- tail -n 1 /code/app.py"
        )
        make(v1_only, "rollout")
    finally:
        (v1_only.root / file).write_text(text)
        make(v1_only, "clean")
        make(v1_only, target)


def test_an_unchanged_service_is_not_rolled_out_again(cluster: Cluster) -> None:
    names = ("cmpt756s1", "cmpt756db", "cmpt756s2-v1")
    before = [revision(cluster, name) for name in names]
    make(cluster, "clean")
    make(cluster, "deploy")
    assert [revision(cluster, name) for name in names] == before


def test_images_one_and_all(cluster: Cluster) -> None:
    make(cluster, "clean")
    assert f"Building {cluster.images}/cmpt756s1:v1" in make(cluster, "cr", SVC="s1")
    built = make(cluster, "cri")
    assert "cmpt756s1" not in built  # its log says that it is built
    for image in ("cmpt756db:v1", "cmpt756s2:v1", "cmpt756s2:v2", "c756-loader:v1"):
        assert f"Building {cluster.images}/{image}" in built


def test_health_off_and_on_again(cluster: Cluster) -> None:
    names = ("cmpt756s1", "cmpt756s2-v1", "cmpt756db")
    make(cluster, "health-off")
    for name in names:
        assert not PROBES & set(container(cluster, name))
    make(cluster, "rollout")
    make(cluster, "s1 db s2 rollout")
    for name in names:
        assert set(container(cluster, name)) >= PROBES


@pytest.mark.parametrize("page", ["kiali", "grafana", "prometheus"])
def test_urls(cluster: Cluster, page: str) -> None:
    override = make(cluster, f"{page}-url 2>/dev/null", **{f"{page.upper()}_URL": "http://127.0.0.1:9/"})
    assert override == "http://127.0.0.1:9/\n"
    label = {"prometheus": "app=kube-prometheus-stack-prometheus"}.get(page, f"app.kubernetes.io/name={page}")
    found = cluster.run(f"tools/kubectl get services -A -l {label} -o name")
    if not found.strip():
        variable = f"{page.upper()}_URL"
        out = cluster.run(f"env -u {variable} make -s -f k8s.mak {page}-url", ok=False)
        assert f"'{CONTEXT}' has no service with the label {label}: make -f k8s.mak provision" in out
    skip_without(found.strip(), page.capitalize(), f"this cluster has no service with the label {label}")
    assert make(cluster, f"{page}-url").startswith("http")


def test_dashboard(cluster: Cluster) -> None:
    there = cluster.has("service -n kubernetes-dashboard kubernetes-dashboard-kong-proxy")
    out = make(cluster, "dashboard", ok=there)
    assert ("port-forward" if there else f"'{CONTEXT}' has no Kubernetes dashboard") in out


def test_provision_leaves_alone_what_is_there(cluster: Cluster) -> None:
    def releases() -> list[tuple[str, str]]:
        listed = json.loads(cluster.run("tools/helm list -A -o json"))
        return [(each["name"], each["revision"]) for each in listed if each["namespace"] != "c756ns"]

    before = releases()
    out = make(cluster, "provision", PROVISION="istio gateway prometheus")
    for part in ("Istio", "The ingress gateway", "The Prometheus operator"):
        assert f"{part} is there already, and is left alone: " in out
    assert "Installing" not in out
    assert "c756 1.0.0 is in namespace c756ns" in out  # then deploy
    assert releases() == before
