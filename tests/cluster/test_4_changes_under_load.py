"""Changes while clients read without a pause: none of their requests may fail."""

import json

import pytest

from tests.cluster.cluster import Cluster
from tests.support.exercise import healthy_v2, old_pods_are_gone, reads, rolling_updates, twenty_switches
from tests.support.load import ClosedLoop

ENOUGH = 500
"""Requests that a run must have sent to say something."""


@pytest.fixture
def with_v2(v1_only: Cluster) -> Cluster:
    healthy_v2(v1_only)
    return v1_only


def test_twenty_switches_of_version(with_v2: Cluster) -> None:
    assert twenty_switches(with_v2).total >= ENOUGH


def test_a_rolling_update_of_each_service(with_v2: Cluster) -> None:
    assert rolling_updates(with_v2, 120).total >= ENOUGH


def test_helm_upgrade_and_rollback(cluster: Cluster) -> None:
    def replicas() -> dict[str, int]:
        return {
            name: cluster.get(f"deploy cmpt756{name}")["status"]["readyReplicas"] for name in ("s1", "db")
        }

    def history() -> list[dict]:
        return json.loads(cluster.run("tools/helm history c756 -n c756ns -o json"))

    before = history()[-1]["revision"]
    other = "s1.replicas=2,db.replicas=2,s1.env.RELEASE=other,db.env.RELEASE=other"
    flags = f"{cluster.env['HELM_FLAGS']} --set {other}"
    with ClosedLoop(reads(cluster), cluster.headers) as load:
        cluster.run("make -f k8s.mak gw rollout-s1 rollout-db", HELM_FLAGS=flags)
        assert replicas() == {"s1": 2, "db": 2}
        assert "other" in cluster.kubectl("-n c756ns exec deploy/cmpt756s1 -c cmpt756s1 -- printenv RELEASE")
        cluster.run(f"tools/helm rollback c756 {before} -n c756ns --wait --timeout 150s")
        old_pods_are_gone(cluster, 60)
    assert set(load.answers) == {"200"}
    assert load.total >= ENOUGH
    assert replicas() == {"s1": 1, "db": 1}
    cluster.kubectl("-n c756ns exec deploy/cmpt756s1 -c cmpt756s1 -- printenv RELEASE", ok=False)
    assert history()[-1]["description"] == f"Rollback to {before}"
