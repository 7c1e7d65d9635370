"""The exercise on the real mesh."""

from tests.cluster.cluster import Cluster
from tests.support.exercise import read_songs, whole_release


def test_the_whole_release(v1_only: Cluster) -> None:
    whole_release(v1_only)


def test_a_version_without_a_ready_pod_gets_no_traffic(v1_only: Cluster) -> None:
    v1_only.edit("s2/v2/app.py", "PERCENT_ERROR = 50", "raise RuntimeError('broken candidate')")
    v1_only.run("make -f k8s.mak clean")
    out = v1_only.run("make -e -f k8s.mak s2", S2_VER="v2", TIMEOUT="15s", ok=False)
    assert "no traffic is sent to it" in out
    assert read_songs(v1_only, 100) == {200: 100}
    assert "broken candidate" in v1_only.run("make -s -f k8s.mak log-s2v2")


def test_traffic_to_a_deleted_version_is_refused(v1_only: Cluster) -> None:
    v1_only.kubectl("-n c756ns delete deploy/cmpt756s2-v1")
    out = v1_only.s2("v2", ok=False)
    assert "cluster/s2-vs-v2.yaml sends traffic to v1, which has no ready pod" in out
