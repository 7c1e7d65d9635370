"""The exercise: version 2 at 10 %, its bug, the roll-back, the fix, 0/100, version 1 deleted."""

import re
import time

from tests.local.mesh import Mesh, eventually
from tests.support.exercise import counted_reads, read_songs, whole_release


def test_the_whole_release(v1_only: Mesh) -> None:
    whole_release(v1_only)


def test_weights_are_proportions(v1_only: Mesh) -> None:
    mesh = v1_only
    mesh.edit("s2/v2/app.py", "PERCENT_ERROR = 50", "PERCENT_ERROR = 0")
    mesh.edit("cluster/s2-vs-v2.yaml", "weight: 90", "weight: 3")
    mesh.edit("cluster/s2-vs-v2.yaml", "weight: 10", "weight: 1")
    mesh.run("make -f k8s.mak clean")
    mesh.s2("v2")
    _, got = counted_reads(mesh, 1000)
    assert 0.19 <= got["v2", "200"] / 1000 <= 0.31, got


def test_a_version_without_a_ready_pod_gets_no_traffic(v1_only: Mesh) -> None:
    mesh = v1_only
    mesh.edit("s2/v2/app.py", "PERCENT_ERROR = 50", "raise RuntimeError('broken candidate')")
    mesh.run("make -f k8s.mak clean")
    out = mesh.run("make -e -f k8s.mak s2", S2_VER="v2", TIMEOUT="8s", ok=False)
    assert "no traffic is sent to it" in out
    assert read_songs(mesh, 200) == {200: 200}
    status = mesh.kubectl("-n c756ns get pods -l version=v2,app=cmpt756s2 --no-headers")
    assert re.search(r"CrashLoopBackOff|Error", status)
    assert "broken candidate" in mesh.kubectl("-n c756ns logs deploy/cmpt756s2-v2 -c cmpt756s2")


def test_traffic_to_a_deleted_version_is_refused(v1_only: Mesh) -> None:
    mesh = v1_only
    mesh.kubectl("-n c756ns delete deploy/cmpt756s2-v1")
    out = mesh.s2("v2", ok=False)
    assert "cluster/s2-vs-v2.yaml sends traffic to v1, which has no ready pod" in out


def test_bash_in_the_container(v1_only: Mesh) -> None:
    mesh = v1_only
    mesh.s2("v2")
    mesh.s2("v1")
    pod = mesh.pod("cmpt756s2", "v2")["name"]
    # script gives the command a terminal, as a person has; the shell reads what is typed.
    exec_ = "local/bin/kubectl exec -it -n c756ns deploy/cmpt756s2-v2 -c cmpt756s2 -- bash"
    out = mesh.run(f"(sleep 3; echo ls; sleep 1; echo exit) | script -qec '{exec_}' /dev/null")
    assert f"{pod}:/code$" in out, out
    assert "app.py" in out


def test_scratch_removes_the_namespace_and_deploy_brings_it_back(mesh: Mesh) -> None:
    out = mesh.run("make -f k8s.mak scratch")
    assert "c756ns" in out
    assert "c756ns" not in mesh.kubectl("get namespaces")
    # The console's Gateway is another namespace's: port 80 still listens, but nothing of c756ns answers there.
    assert mesh.session.get(f"{mesh.api}/music/", timeout=10).status_code == 404
    assert not [command for command in mesh.processes() if "app:app" in command and "console" not in command]
    mesh.forget_token()
    mesh.run("make -f k8s.mak deploy")
    eventually(lambda: mesh.session.get(f"{mesh.api}/music/", timeout=10).status_code == 401, 5, "traffic")
    # The data outlives the namespace, as DynamoDB's does.
    assert read_songs(mesh, 10) == {200: 10}


def test_the_counts_of_the_guide(v1_only: Mesh) -> None:
    mesh = v1_only
    s1, s2, db = (mesh.pod(app) for app in ("cmpt756s1", "cmpt756s2", "cmpt756db"))

    def counts() -> dict[str, float]:
        unknown = {
            name: mesh.counter(
                pod["ip"], "istio_requests_total", reporter="destination", source_workload="unknown"
            )
            for name, pod in (("s1", s1), ("s2", s2), ("db", db))
        }
        return {
            "in": mesh.counter(
                s2["ip"],
                "istio_requests_total",
                reporter="destination",
                source_workload="istio-ingressgateway",
            ),
            "out": mesh.counter(
                s2["ip"], "istio_requests_total", reporter="source", destination_service_name="cmpt756db"
            ),
            "s1 out": mesh.counter(
                s1["ip"], "istio_requests_total", reporter="source", destination_service_name="cmpt756db"
            ),
            **unknown,
        }

    before = counts()
    assert read_songs(mesh, 250) == {200: 250}
    busy = counts()
    assert busy["in"] - before["in"] == busy["out"] - before["out"] == 250

    # A minute without load: only Prometheus calls, and only the services themselves.
    start = counts()
    time.sleep(60)
    end = counts()
    for name in ("s1", "s2", "db"):
        assert 1 <= end[name] - start[name] <= 3, (name, start, end)
    assert end["out"] == start["out"]
    assert end["s1 out"] == start["s1 out"]


def test_bytes_to_dynamodb(mesh: Mesh) -> None:
    db = mesh.pod("cmpt756db")

    def sent() -> float:
        """Bytes from db to DynamoDB: Istio counts the caller's as received, the answer as sent."""
        rows = mesh.query(
            f'sum(istio_tcp_received_bytes_total{{source_workload="cmpt756db",pod="{db["name"]}"}})'
        )
        return float(rows[0]["value"][1]) if rows else 0.0

    def after_a_scrape(base: float, enough: float) -> float:
        eventually(lambda: sent() >= base + enough, 20, "bytes in Prometheus")
        return sent()

    before = sent()
    payload = "x" * 100_000
    songs = []
    for number in range(40):
        # Straight to db: at S2 a title is shorter.
        body = {"objtype": "music", "Artist": "Long", "SongTitle": f"number {number}", "lyrics": payload}
        answer = mesh.session.post(f"http://{db['ip']}:30002/api/v1/datastore/write", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        songs.append(answer.json()["music_id"])
    total = 40 * len(payload)
    moved = after_a_scrape(before, total) - before
    assert 1.0 <= moved / total <= 1.1
    for song in songs:
        assert mesh.call("DELETE", f"/music/{song}").status_code == 200
