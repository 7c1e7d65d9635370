"""Deployments, ReplicaSets and EndpointSlices with real processes behind them."""

import asyncio
import os
import signal
import time

import aiohttp
import pytest

from tests.runner.cluster import Cluster, container, deployment, get, script, service

pytestmark = pytest.mark.asyncio


def set_image(cluster: Cluster, image: str, name: str = "web") -> None:
    def change(found):
        found["spec"]["template"]["spec"]["containers"][0]["image"] = image

    cluster.edit("Deployment", name, change)


def is_rolled_out(cluster: Cluster, name: str = "web") -> bool:
    """What `kubectl rollout status` waits for."""
    found = cluster.get("Deployment", name)
    status, replicas = found.get("status") or {}, found["spec"]["replicas"]
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == replicas
        and status.get("replicas", 0) == replicas
        and status.get("availableReplicas", 0) == replicas
    )


def condition(cluster: Cluster, kind: str, name: str = "web") -> dict:
    conditions = cluster.get("Deployment", name)["status"].get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


async def rolled_out(cluster: Cluster, name: str = "web") -> None:
    await cluster.until(lambda: is_rolled_out(cluster, name))


async def test_a_rolling_update_keeps_endpoints_ready_and_loses_no_request(cluster):
    pods = {"terminationGracePeriodSeconds": 10, "containers": [
        container(cluster.server_image("v1"), lifecycle={"preStop": {"sleep": {"seconds": 1}}})
    ]}  # fmt: skip
    cluster.server_image("v2")
    cluster.create("Service", "web", service())
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster.create("Deployment", "web", deployment(pods, 2, strategy=strategy))
    await rolled_out(cluster)
    assert len(cluster.endpoints("web")) == 2

    fewest, seen = 2, []
    stop = asyncio.Event()
    cluster.store.listen(lambda _: least())

    def least() -> None:
        nonlocal fewest
        fewest = min(fewest, len(cluster.endpoints("web")))

    async def clients() -> None:
        while not stop.is_set():
            seen.append(
                (await get(cluster.endpoints("web")[len(seen) % 2 % len(cluster.endpoints("web"))]))[:2]
            )

    load = asyncio.create_task(clients())
    await asyncio.sleep(0.1)
    set_image(cluster, "server:v2")
    await rolled_out(cluster)
    await cluster.until(lambda: len(cluster.pods()) == 2)
    await asyncio.sleep(0.1)
    stop.set()
    await load
    assert fewest >= 2
    assert seen[0] == "v1"
    assert seen[-1] == "v2"
    names = {rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: rs["spec"]["replicas"]
             for rs in cluster.store.select("ReplicaSet")}  # fmt: skip
    assert names == {"1": 0, "2": 2}
    assert cluster.get("Deployment", "web")["metadata"]["annotations"][
        "deployment.kubernetes.io/revision"
    ] == "2"  # fmt: skip
    assert condition(cluster, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert any("Scaled down replica set" in event for event in cluster.events("web"))


async def test_a_version_that_never_gets_ready_leaves_the_old_one_serving(cluster):
    pods = {"containers": [container(cluster.server_image("v1"))]}
    cluster.create("Service", "web", service())
    cluster.create("Deployment", "web", deployment(pods, 2, progressDeadlineSeconds=1))
    await rolled_out(cluster)

    def never_ready(found):
        found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "READY_AFTER", "value": "999"}]

    cluster.edit("Deployment", "web", never_ready)
    await cluster.until(lambda: condition(cluster, "Progressing").get("reason") == "ProgressDeadlineExceeded")
    assert condition(cluster, "Progressing")["status"] == "False"
    assert condition(cluster, "Available")["status"] == "True"
    assert len(cluster.endpoints("web")) == 2
    assert len(cluster.endpoints("web", ready=False)) == 3

    # kubectl rollout undo: the old template again, whose ReplicaSet becomes the newest revision.
    def undo(found):
        del found["spec"]["template"]["spec"]["containers"][0]["env"]

    cluster.edit("Deployment", "web", undo)
    await rolled_out(cluster)
    sets = cluster.store.select("ReplicaSet")
    revisions = {
        rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: rs["spec"]["replicas"]
        for rs in sets
    }
    assert revisions == {"2": 0, "3": 2}


async def test_recreate_ends_the_old_pods_before_it_starts_new_ones(cluster):
    pods = {"containers": [container(cluster.server_image("v1"))]}
    cluster.server_image("v2")
    cluster.create("Deployment", "web", deployment(pods, 2, strategy={"type": "Recreate"}))
    await rolled_out(cluster)
    old = {pod["metadata"]["uid"] for pod in cluster.pods()}
    overlap = []

    def look(_) -> None:
        present = {pod["metadata"]["uid"] for pod in cluster.pods()}
        overlap.append(bool(present & old) and bool(present - old))

    cluster.store.listen(look)
    set_image(cluster, "server:v2")
    await rolled_out(cluster)
    assert overlap
    assert not any(overlap)
    assert not old & {pod["metadata"]["uid"] for pod in cluster.pods()}


async def test_scaling_pausing_and_history(cluster):
    pods = {"containers": [script("exec sleep 1000")]}
    cluster.create("Deployment", "web", deployment(pods, 1, revisionHistoryLimit=1))
    await rolled_out(cluster)
    cluster.edit("Deployment", "web", lambda d: d["spec"].update(replicas=3))
    await rolled_out(cluster)
    assert len(cluster.pods()) == 3

    def pause(found):
        found["spec"]["paused"] = True
        found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1

    cluster.edit("Deployment", "web", pause)
    await cluster.until(lambda: condition(cluster, "Progressing").get("reason") == "DeploymentPaused")
    assert len(cluster.store.select("ReplicaSet")) == 1
    cluster.edit("Deployment", "web", lambda d: d["spec"].update(replicas=1))
    await cluster.until(lambda: len(cluster.pods()) == 1)
    assert len(cluster.store.select("ReplicaSet")) == 1
    cluster.edit("Deployment", "web", lambda d: d["spec"].pop("paused"))
    await rolled_out(cluster)
    assert len(cluster.store.select("ReplicaSet")) == 2
    for grace in (2, 3):

        def other(found, grace=grace):
            found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = grace

        cluster.edit("Deployment", "web", other)
        await rolled_out(cluster)
    await cluster.until(lambda: len(cluster.store.select("ReplicaSet")) == 2)
    cluster.edit("Deployment", "web", lambda d: d["spec"].update(replicas=0))
    await cluster.until(lambda: not cluster.pods())


async def test_min_ready_seconds_delay_availability(cluster):
    pods = {"containers": [container(cluster.server_image("v1"))]}
    cluster.create("Deployment", "web", deployment(pods, 1, minReadySeconds=2))
    await cluster.until(lambda: cluster.get("Deployment", "web").get("status", {}).get("readyReplicas"))
    ready = time.monotonic()
    assert not cluster.get("Deployment", "web")["status"].get("availableReplicas")
    await rolled_out(cluster)
    assert time.monotonic() - ready >= 1.0  # times of objects have whole seconds


async def test_a_killed_process_is_back_at_once_and_out_of_the_endpoints_meanwhile(cluster):
    cluster.create("Service", "web", service())
    cluster.create("Deployment", "web", deployment({"containers": [container(cluster.server_image("v1"))]}))
    (address,) = await cluster.until(lambda: cluster.endpoints("web"))
    gone = []
    cluster.store.listen(lambda _: gone.append(not cluster.endpoints("web")))
    killed = time.monotonic()
    pod = cluster.pod()
    pid = int(pod["status"]["containerStatuses"][0]["containerID"].removeprefix("process://"))

    os.kill(pid, signal.SIGKILL)
    await cluster.until(lambda: cluster.pod()["status"]["containerStatuses"][0]["restartCount"] == 1)
    await cluster.until(lambda: cluster.endpoints("web") == [address], 5)
    assert time.monotonic() - killed < 5
    assert any(gone)
    status = cluster.pod()["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert (await get(address)).startswith("v1")


async def test_an_unready_pod_leaves_the_endpoints_and_comes_back(cluster, tmp_path):
    switch = tmp_path / "work"
    switch.mkdir()
    env = [{"name": "WORK", "value": str(switch)}]
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    app = container(cluster.server_image("v1"), env=env, readinessProbe=probe)
    cluster.create("Service", "web", service())
    cluster.create("Deployment", "web", deployment({"containers": [app]}))
    await cluster.until(lambda: cluster.endpoints("web"))
    (switch / "ready").touch()
    await cluster.until(lambda: not cluster.endpoints("web"))
    assert len(cluster.endpoints("web", ready=False)) == 1
    assert cluster.reason(cluster.pod()) == "Running"
    name = cluster.pod()["metadata"]["name"]
    assert any(
        "Readiness probe failed: HTTP probe failed with statuscode: 503" in e for e in cluster.events(name)
    )
    (switch / "ready").unlink()
    await cluster.until(lambda: cluster.endpoints("web"))


async def test_a_deleted_pod_leaves_the_endpoints_before_it_is_told_to_end(cluster):
    app = container(cluster.server_image("v1"), lifecycle={"preStop": {"sleep": {"seconds": 1}}})
    cluster.create("Service", "web", service())
    cluster.create("Deployment", "web", deployment({"containers": [app]}))
    (address,) = await cluster.until(lambda: cluster.endpoints("web"))
    pod = cluster.pod()
    log = cluster.kubelet.log_path(pod, "app", False)
    cluster.store.delete("Pod", "test", pod["metadata"]["name"])
    deleted = time.time()
    await cluster.until(lambda: address not in cluster.endpoints("web"), 0.5)
    found = cluster.store.select("EndpointSlice")[0]["endpoints"]
    old = next(e for e in found if e["addresses"] == [address])
    assert old["conditions"] == {"ready": False, "serving": True, "terminating": True}
    assert (await get(address)).startswith("v1")  # it still answers
    text = await cluster.until(lambda: "SIGTERM" in (text := log.read_text()) and text)
    assert float(text.split("SIGTERM ")[1].split()[0]) - deleted >= 0.9
    await cluster.until(lambda: cluster.store.find("Pod", "test", pod["metadata"]["name"]) is None)
    with pytest.raises(aiohttp.ClientError):
        await get(address)
    (new,) = await cluster.until(lambda: cluster.endpoints("web"))
    assert new != address
