"""What `deploy` and `loader` have brought about."""

import re
import shlex

import pytest

from tests.cluster.cluster import Cluster, skip_without
from tests.support.waiting import eventually

SERVICES = {"cmpt756s1": 30000, "cmpt756s2": 30001, "cmpt756db": 30002}


def sidecar(pod: dict) -> dict:
    """The pod's istio-proxy, which is a native sidecar where the cluster knows them."""
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    found = [container for container in containers if container["name"] == "istio-proxy"]
    assert len(found) == 1, pod["metadata"]["name"]
    return found[0]


def test_every_pod_has_a_sidecar_and_is_ready(cluster: Cluster) -> None:
    pods = cluster.pods()
    assert {pod["metadata"]["labels"]["app"] for pod in pods} == {*SERVICES, "c756-loader"}
    for pod in pods:
        assert sidecar(pod)
        if pod["metadata"]["labels"]["app"] in SERVICES:
            statuses = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
            assert all(status["ready"] for status in statuses), statuses


def test_the_loader_ends_and_its_data_is_there(cluster: Cluster) -> None:
    users, songs = cluster.sample("users"), cluster.sample("music")
    assert f"user {len(users)}, music {len(songs)}; bad rows: 0" in cluster.deploy_output
    assert cluster.get("job c756-loader")["status"]["succeeded"] == 1
    loader = cluster.pods("app=c756-loader")[0]
    assert loader["status"]["phase"] == "Succeeded"  # its sidecar has ended as well
    for row in (songs[0], songs[-1]):
        item = cluster.call("GET", f"/music/{row['music_id']}").json()["Items"][0]
        assert (item["Artist"], item["SongTitle"]) == (row["Artist"], row["SongTitle"])
    assert cluster.call("GET", f"/user/{users[-1]['user_id']}").json()["Count"] == 1


def test_notes_say_what_comes_next(cluster: Cluster) -> None:
    for text in ("c756 1.0.0 is in namespace c756ns", "make -f k8s.mak loader", "tables User-c756test"):
        assert text in cluster.deploy_output


@pytest.mark.parametrize("app", SERVICES)
def test_each_pod_runs_with_few_rights(cluster: Cluster, app: str) -> None:
    pod = cluster.pods(f"app={app}")[0]
    assert pod["spec"]["serviceAccountName"] == app
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    container = next(c for c in pod["spec"]["containers"] if c["name"] == app)
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]
    assert {c["topologyKey"] for c in pod["spec"]["topologySpreadConstraints"]} >= {"kubernetes.io/hostname"}
    inside = cluster.kubectl(
        f"-n c756ns exec {pod['metadata']['name']} -c {app} -- bash -c '"
        "id -u; cat /proc/self/status; "
        "touch /code/x 2>&1; touch /tmp/x && echo tmp is writable; ls /var/run/secrets/kubernetes.io 2>&1'",
        ok=False,
    )
    assert inside.splitlines()[0] == "10001", inside
    assert re.search(r"CapEff:\s+0{16}\n", inside), inside
    assert re.search(r"Seccomp:\s+2\n", inside), inside
    assert re.search(r"NoNewPrivs:\s+1\n", inside), inside
    assert "/code/x': Read-only file system" in inside
    assert "tmp is writable" in inside
    assert "/var/run/secrets/kubernetes.io': No such file or directory" in inside


@pytest.mark.parametrize("app", ["cmpt756s1", "cmpt756db"])
def test_sidecars_have_the_size_that_the_values_say(cluster: Cluster, app: str) -> None:
    proxy = sidecar(cluster.pods(f"app={app}")[0])
    assert proxy["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "256Mi"},
    }


def test_every_sidecar_has_one_worker(cluster: Cluster) -> None:
    for app in SERVICES:
        pod = cluster.pods(f"app={app}")[0]["metadata"]["name"]
        inside = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
        processes = cluster.kubectl(
            f"-n c756ns exec {pod} -c istio-proxy -- {shlex.join(['bash', '-c', inside])}"
        )
        assert "--concurrency 1 " in processes, processes


def test_a_drain_may_take_one_pod_each(cluster: Cluster) -> None:
    for name in ("cmpt756s1", "cmpt756db"):
        budget = eventually(
            lambda name=name: cluster.get(f"poddisruptionbudget {name}").get("status"),
            20,
            "the budget's status",
        )
        assert budget["expectedPods"] == 1
        assert budget["disruptionsAllowed"] == 1


def test_autoscaling(cluster: Cluster) -> None:
    skip_without(
        cluster.has("apiservice v1beta1.metrics.k8s.io"),
        "HorizontalPodAutoscaler",
        "this cluster has no metrics-server (API metrics.k8s.io)",
    )
    flags = f"{cluster.env['HELM_FLAGS']} --set autoscaling.enabled=true"
    try:
        cluster.run("make -f k8s.mak gw", HELM_FLAGS=flags)
        for name in ("cmpt756s1", "cmpt756db"):
            eventually(
                lambda name=name: any(
                    condition["type"] == "ScalingActive" and condition["status"] == "True"
                    for condition in cluster.get(f"hpa {name}").get("status", {}).get("conditions", [])
                ),
                120,
                f"the autoscaler of {name}",
                pause=2,
            )
            assert cluster.get(f"deploy {name}")["spec"]["replicas"] >= 2
    finally:
        cluster.run("make -f k8s.mak gw")


def test_prometheus_scrapes_every_service_each_30_s(cluster: Cluster) -> None:
    def intervals() -> dict[str, str]:
        answer = cluster.session.get(f"{cluster.prometheus}/api/v1/targets?state=active", timeout=10).json()
        return {
            target["labels"]["service"]: target["scrapeInterval"]
            for target in answer["data"]["activeTargets"]
            if target["labels"].get("namespace") == "c756ns"
            and target["labels"].get("service")
            and target["health"] == "up"
        }

    eventually(lambda: intervals() == dict.fromkeys(SERVICES, "30s"), 90, "the services' targets", pause=1)


def test_helm_test_asks_each_service(cluster: Cluster) -> None:
    out = cluster.run("tools/helm test c756 -n c756ns")
    assert out.count("Phase:          Succeeded") == 2  # the ServiceAccount and the pod
    cluster.kubectl("-n c756ns scale deploy/cmpt756s2-v1 --replicas=0")
    cluster.kubectl("-n c756ns wait --for=delete pod -l app=cmpt756s2 --timeout=60s")
    try:
        cluster.run("tools/helm test c756 -n c756ns --timeout 90s", ok=False)
        # A test that failed leaves its pod, with the reason in its log.
        log = cluster.kubectl("-n c756ns logs c756-test -c c756-test")
        assert "http://cmpt756s2:30001/readiness HTTP Error 503" in log
        for app in ("cmpt756s1", "cmpt756db"):
            assert f"http://{app}:{SERVICES[app]}/readiness 200" in log
    finally:
        cluster.kubectl("-n c756ns delete pod/c756-test serviceaccount/c756-test --ignore-not-found")
        cluster.kubectl("-n c756ns scale deploy/cmpt756s2-v1 --replicas=1")
        cluster.run("make -f k8s.mak rollout")


def test_bash_in_the_container(cluster: Cluster) -> None:
    pod = cluster.pod("cmpt756s2")["name"]
    # script gives the command a terminal, as a person has; the shell reads what is typed.
    exec_ = "tools/kubectl exec -it -n c756ns deploy/cmpt756s2-v1 -c cmpt756s2 -- bash"
    out = cluster.run(f"(sleep 3; echo ls; sleep 1; echo exit) | script -qec '{exec_}' /dev/null")
    assert f"{pod}:/code$" in out, out
    assert "app.py" in out
