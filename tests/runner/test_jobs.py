"""Jobs with real processes."""

import pytest

from tests.runner.cluster import Cluster, script

pytestmark = pytest.mark.asyncio


def job(text: str, policy: str = "Never", **spec) -> dict:
    return {"template": {"spec": {"restartPolicy": policy, "containers": [script(text)]}}, **spec}


def finished(cluster: Cluster, kind: str, name: str = "one") -> dict | None:
    found = cluster.get("Job", name).get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind and c["status"] == "True"), None)


async def test_a_job_completes(cluster):
    cluster.create("Job", "one", job("echo loaded"))
    await cluster.until(lambda: finished(cluster, "Complete"))
    status = cluster.get("Job", "one")["status"]
    assert status["succeeded"] == 1
    assert {"startTime", "completionTime"} <= status.keys()
    assert "active" not in status
    assert cluster.log(cluster.pod()) == "loaded\n"
    assert "Completed: Job completed" in cluster.events("one")


async def test_completions_and_parallelism(cluster, tmp_path):
    text = f"echo x >> {tmp_path}/runs; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    cluster.create("Job", "one", job(text, completions=3, parallelism=2))
    await cluster.until(lambda: cluster.get("Job", "one").get("status", {}).get("active") == 2)
    await cluster.until(
        lambda: (tmp_path / "runs").exists() and len((tmp_path / "runs").read_text().split()) == 2
    )
    assert len(cluster.pods()) == 2
    (tmp_path / "go").touch()
    await cluster.until(lambda: finished(cluster, "Complete"))
    assert len((tmp_path / "runs").read_text().split()) == 3


async def test_failures_are_tried_again_up_to_the_limit(cluster):
    cluster.create("Job", "one", job("exit 5", backoffLimit=2))
    await cluster.until(lambda: finished(cluster, "Failed"))
    assert finished(cluster, "Failed")["reason"] == "BackoffLimitExceeded"
    assert cluster.get("Job", "one")["status"]["failed"] == 3
    assert len(cluster.pods()) == 3


async def test_a_failure_before_a_success(cluster, tmp_path):
    text = f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; exit 1; }}"
    cluster.create("Job", "one", job(text))
    await cluster.until(lambda: finished(cluster, "Complete"))
    status = cluster.get("Job", "one")["status"]
    assert (status["succeeded"], status["failed"]) == (1, 1)


async def test_on_failure_restarts_in_the_same_pod(cluster, tmp_path):
    text = f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; exit 1; }}"
    cluster.create("Job", "one", job(text, "OnFailure"))
    await cluster.until(lambda: finished(cluster, "Complete"))
    assert cluster.pod()["status"]["containerStatuses"][0]["restartCount"] == 1


async def test_the_deadline_ends_the_pods(cluster):
    cluster.create("Job", "one", job("exec sleep 100", activeDeadlineSeconds=1))
    await cluster.until(lambda: finished(cluster, "Failed"))
    assert finished(cluster, "Failed")["reason"] == "DeadlineExceeded"
    await cluster.until(lambda: not cluster.pods() and not cluster.processes())


async def test_a_finished_job_goes_after_its_time_with_its_pods(cluster):
    cluster.create("Job", "one", job("true", ttlSecondsAfterFinished=1))
    await cluster.until(lambda: finished(cluster, "Complete"))
    await cluster.until(lambda: cluster.store.find("Job", "test", "one") is None and not cluster.pods(), 5)


async def test_suspending_ends_the_pods_and_resuming_starts_them(cluster):
    cluster.create("Job", "one", job("exec sleep 100", suspend=True))
    await cluster.until(lambda: finished(cluster, "Suspended"))
    assert cluster.pods() == []
    cluster.edit("Job", "one", lambda found: found["spec"].update(suspend=False))
    await cluster.until(lambda: cluster.get("Job", "one")["status"].get("active") == 1)
    cluster.edit("Job", "one", lambda found: found["spec"].update(suspend=True))
    await cluster.until(lambda: not cluster.pods())
