"""`scratch` leaves nothing, not even of a deployment that failed; `reinstate` and `deploy` bring it back."""

import json

import pytest

from tests.cluster.cluster import CONTEXT, Cluster
from tests.support.exercise import read_songs
from tests.support.waiting import eventually


def ours(cluster: Cluster) -> str:
    """Everything of the cluster that carries the project's label or stands in its namespace."""
    kinds = cluster.run("tools/kubectl api-resources --verbs=list -o name").split()
    listed = ",".join(kind for kind in kinds if not kind.startswith(("events", "componentstatuses")))
    labelled = cluster.run(
        f"tools/kubectl get {listed} -A -l app.kubernetes.io/part-of=c756 -o name 2>/dev/null"
    )
    return labelled + cluster.run("tools/kubectl get namespace c756ns --ignore-not-found -o name")


@pytest.fixture
def scratched(cluster: Cluster) -> Cluster:
    out = cluster.run("make -f k8s.mak scratch", YES="1")
    assert f"On '{CONTEXT}': this will delete the namespace c756ns" in out
    cluster.forget_token()
    return cluster


def test_scratch_leaves_nothing(scratched: Cluster) -> None:
    assert ours(scratched) == ""
    eventually(lambda: not reachable(scratched), 10, "the end of the traffic")


def reachable(cluster: Cluster) -> bool:
    """Whether anything answers for music at the gateway; without a Gateway it has no listener."""
    try:
        return cluster.session.get(f"{cluster.api}/music/", timeout=10).status_code == 401
    except OSError:
        return False


def test_reinstate_brings_back_the_namespace_alone(scratched: Cluster) -> None:
    scratched.run("make -f k8s.mak reinstate")
    labels = json.loads(scratched.run("tools/kubectl get namespace c756ns -o json"))["metadata"]["labels"]
    assert labels["istio-injection"] == "enabled"
    assert not scratched.pods()


def test_a_first_deployment_that_failed_is_removed_by_scratch(scratched: Cluster) -> None:
    flags = f"{scratched.env['HELM_FLAGS']} --set existingSecret=no-such-secret"
    out = scratched.run("make -f k8s.mak deploy", HELM_FLAGS=flags, ok=False)
    assert 'secret "no-such-secret" not found' in out
    scratched.run("make -f k8s.mak scratch", YES="1")
    assert ours(scratched) == ""


def test_deploy_brings_all_of_it_back(scratched: Cluster) -> None:
    scratched.run("make -f k8s.mak deploy", seconds=400)
    eventually(lambda: reachable(scratched), 10, "traffic")
    # The data outlives the namespace.
    assert read_songs(scratched, 20) == {200: 20}
