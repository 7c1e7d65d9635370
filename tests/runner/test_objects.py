"""Namespaces, garbage collection, events, and what a killed daemon leaves behind."""

import asyncio
import time

import psutil
import pytest

from local.controllers import events
from local.kubelet.records import ProcessRecords
from tests.runner.cluster import NAMESPACE, container, deployment, running, script, service

pytestmark = pytest.mark.asyncio


def names(cluster, kind: str) -> list[str]:
    return [obj["metadata"]["name"] for obj in cluster.store.select(kind, NAMESPACE)]


async def test_a_namespace_goes_with_all_that_is_in_it_and_leaves_no_process(cluster):
    pods = {"terminationGracePeriodSeconds": 2, "containers": [container(cluster.server_image("v1"))]}
    cluster.create("Service", "web", service())
    cluster.create("Deployment", "web", deployment(pods, 2))
    cluster.create("ConfigMap", "settings", data={})
    await cluster.until(lambda: len(cluster.endpoints("web")) == 2)
    assert names(cluster, "ServiceAccount") == ["default"]
    cluster.store.delete("Namespace", "", NAMESPACE)
    assert cluster.store.get("Namespace", "", NAMESPACE)["status"]["phase"] == "Terminating"
    await cluster.until(lambda: cluster.store.find("Namespace", "", NAMESPACE) is None)
    kinds = ("Pod", "Deployment", "ReplicaSet", "Service", "EndpointSlice", "ConfigMap", "Event")
    assert [names(cluster, kind) for kind in kinds] == [[]] * len(kinds)
    assert cluster.processes() == []


async def test_what_a_deployment_made_goes_in_the_background(cluster):
    cluster.create("Deployment", "web", deployment({"containers": [script("exec sleep 100")]}))
    await cluster.until(cluster.processes)
    cluster.store.delete("Deployment", NAMESPACE, "web")
    assert names(cluster, "Deployment") == []
    await cluster.until(lambda: not cluster.pods() and not names(cluster, "ReplicaSet"))
    assert cluster.processes() == []


async def test_a_foreground_deletion_ends_after_its_dependents(cluster):
    cluster.create("Deployment", "web", deployment({"containers": [script("exec sleep 100")]}))
    await cluster.until(cluster.processes)
    there = []
    cluster.store.listen(
        lambda event: (
            event.type == "DELETED"
            and event.resource.kind in ("Deployment", "ReplicaSet", "Pod")
            and there.append(event.resource.kind)
        )
    )
    cluster.edit("Deployment", "web", lambda d: d["metadata"].update(finalizers=["foregroundDeletion"]))
    cluster.store.delete("Deployment", NAMESPACE, "web")
    await cluster.until(lambda: not names(cluster, "Deployment"))
    assert there == ["Pod", "ReplicaSet", "Deployment"]


async def test_orphans_of_a_deletion_stay_and_are_adopted_again(cluster):
    spec = deployment({"containers": [script("exec sleep 100")]})
    cluster.create("Deployment", "web", spec)
    await cluster.until(cluster.processes)
    (pod,) = cluster.pods()
    (rs,) = names(cluster, "ReplicaSet")
    cluster.edit("Deployment", "web", lambda d: d["metadata"].update(finalizers=["orphan"]))
    cluster.store.delete("Deployment", NAMESPACE, "web")
    await cluster.until(lambda: not names(cluster, "Deployment"))
    assert names(cluster, "ReplicaSet") == [rs]
    assert cluster.get("ReplicaSet", rs)["metadata"].get("ownerReferences", []) == []
    cluster.create("Deployment", "web", spec)
    await cluster.until(lambda: cluster.get("ReplicaSet", rs)["metadata"].get("ownerReferences"))
    await cluster.until(lambda: cluster.get("Deployment", "web").get("status", {}).get("availableReplicas"))
    assert [p["metadata"]["uid"] for p in cluster.pods()] == [pod["metadata"]["uid"]]
    assert names(cluster, "ReplicaSet") == [rs]


async def test_a_dependent_of_nobody_goes(cluster):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "no-such-uid"}
    cluster.create("ConfigMap", "left", metadata={"ownerReferences": [owner]})
    await cluster.until(lambda: "left" not in names(cluster, "ConfigMap"))


async def test_events_are_counted_and_limited(cluster, monkeypatch):
    monkeypatch.setattr(events, "_LIMIT", 5)
    recorder = events.EventRecorder(cluster.store)
    obj = cluster.create("ConfigMap", "settings")
    for _ in range(3):
        recorder.warning("test", obj, "Again", "the same")
    (event,) = cluster.store.select("Event", NAMESPACE)
    assert event["count"] == 3
    for number in range(20):
        recorder.normal("test", obj, "Other", str(number))
    assert len(cluster.store.select("Event", NAMESPACE)) == 5


async def test_a_cluster_at_rest_writes_nothing(cluster):
    cluster.create("Service", "web", service())
    cluster.create(
        "Deployment", "web", deployment({"containers": [container(cluster.server_image("v1"))]}, 2)
    )
    cluster.create(
        "Job", "one", {"template": {"spec": {"restartPolicy": "Never", "containers": [script("true")]}}}
    )
    await cluster.until(lambda: len(cluster.endpoints("web")) == 2)
    await cluster.until(lambda: cluster.get("Job", "one").get("status", {}).get("completionTime"))
    await asyncio.sleep(0.3)
    before = cluster.store.version
    await asyncio.sleep(1.2)
    assert cluster.store.version == before


async def test_a_faulty_object_does_not_stop_a_controller(cluster):
    broken = deployment({"containers": [script("exec sleep 100")]}, app="broken")
    broken["selector"] = {"matchExpressions": [{"key": "app", "operator": "Like", "values": []}]}
    cluster.create("Deployment", "broken", broken)
    cluster.create("Deployment", "web", deployment({"containers": [script("exec sleep 100")]}))
    await cluster.until(lambda: cluster.get("Deployment", "web").get("status", {}).get("availableReplicas"))


async def test_a_new_start_kills_what_a_killed_daemon_left(tmp_path):
    pods, notes = tmp_path / "state" / "pods", tmp_path / "state" / "processes"
    home = pods / "test_old" / "app" / "home"
    home.mkdir(parents=True)
    # A leader that is gone with a child in its group that is not: gunicorn's master after SIGKILL.
    text = f"sleep 1000 & echo $! > {tmp_path}/child; exec sleep 1000"
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    left = await asyncio.create_subprocess_exec("sh", "-c", text, env=env, start_new_session=True)
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    child = psutil.Process(int((tmp_path / "child").read_text()))
    ProcessRecords(notes, pods).add(left.pid)
    left.kill()
    await left.wait()
    # A stranger whose number stands in the notes, started at another time.
    stranger = await asyncio.create_subprocess_exec("sleep", "1000", env=env, start_new_session=True)
    (notes / str(stranger.pid)).write_text(str(time.time() - 1e6))
    try:
        async with running(tmp_path, 117) as cluster:
            await cluster.until(lambda: not any(notes.iterdir()), 5)
            assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
            assert stranger.returncode is None
            assert psutil.pid_exists(stranger.pid)
            stranger.kill()  # Before the cluster's own look at what is left.
            await stranger.wait()
    finally:
        if stranger.returncode is None:
            stranger.kill()
            await stranger.wait()


async def test_the_end_of_the_cluster_ends_children_of_containers_too(tmp_path):
    async with running(tmp_path, 116) as cluster:
        text = "sh -c 'trap \"\" TERM; sleep 1000' & sleep 1000 & wait"
        cluster.create("Deployment", "web", deployment({"containers": [script(text)]}, 2))
        await cluster.until(lambda: len(cluster.processes()) >= 8)
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
    assert cluster.processes() == []
