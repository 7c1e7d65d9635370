"""One deployment for the whole folder: `deploy` and `loader` at the start, nothing left at the end."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cluster.clients import client_pod
from tests.cluster.cluster import CONTEXT, ELSEWHERE, OUTSIDE, REGID, Cluster
from tests.cluster.dynamodb import CREDENTIALS, LocalDynamoDB
from tests.support.exercise import restored

collect_ignore_glob = [] if CONTEXT else ["test_*.py"]
NAMESPACES = ("c756ns", OUTSIDE, ELSEWHERE)


def _usable_cluster() -> None:
    """End the run, with one line, where the cluster cannot be used or is in use."""
    for program in ("kubectl", "helm"):
        if not shutil.which(program):
            pytest.exit(f"tests/cluster: put {program} on PATH", 2)
    for name, of in (
        ("PROMETHEUS_URL", "the URL of the cluster's Prometheus"),
        (
            "IMAGE_BUILD",
            "the command that builds images for the cluster, or empty for docker, podman or buildah",
        ),
    ):
        if name not in os.environ:
            pytest.exit(f"tests/cluster: set {name}, {of} (docs/cluster.md)", 2)
    kubectl = ["kubectl", "--context", CONTEXT, "--request-timeout=20s"]
    found = subprocess.run(
        [*kubectl, "get", "namespaces", "-o", "name"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.exit(f"tests/cluster: the context {CONTEXT} does not answer: {found.stderr.strip()}", 2)
    there = [name for name in NAMESPACES if f"namespace/{name}" in found.stdout.split()]
    if there:
        pytest.exit(
            f"tests/cluster: {CONTEXT} has the namespace(s) {', '.join(there)} already; delete them first", 2
        )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    _usable_cluster()
    folder = tmp_path_factory.mktemp("cluster")
    host, address = (os.environ.get(f"C756_TEST_DYNAMODB_{part}") for part in ("HOST", "ADDRESS"))
    store = LocalDynamoDB(folder / "dynamodb", host, address, REGID) if host and address else None
    cluster = None
    try:
        cluster = Cluster(folder, {"HELM_FLAGS": store.helm_flags, **CREDENTIALS} if store else {})
        start = time.monotonic()
        cluster.deploy_output = cluster.run("make -f k8s.mak deploy", seconds=600)
        print(f"deploy, images included: {time.monotonic() - start:.0f} s")
        cluster.deploy_output += cluster.run("make -f k8s.mak loader", seconds=300)
        yield cluster
    finally:
        if cluster:
            cluster.run("tools/kill-gatling.sh; make -f k8s.mak scratch", YES="1")
            cluster.run(f"tools/kubectl delete namespace {OUTSIDE} {ELSEWHERE} --ignore-not-found")
            cluster.session.close()
        if store:
            store.stop()


@pytest.fixture
def v1_only(cluster: Cluster) -> Iterator[Cluster]:
    """After the test, the state after `deploy` is there again: all traffic to v1, no v2, the same files."""
    with restored(cluster):
        yield cluster


@pytest.fixture(scope="session")
def clients(cluster: Cluster) -> Cluster:
    """The cluster with the namespaces OUTSIDE (no sidecars) and ELSEWHERE (sidecars), a client in each."""
    for name, labels in (
        (OUTSIDE, {"pod-security.kubernetes.io/enforce": "restricted", "istio-injection": "disabled"}),
        (ELSEWHERE, {"istio-injection": "enabled"}),
    ):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        cluster.apply([namespace], namespace="default")
        cluster.apply([client_pod(cluster, "default")], namespace=name)
        cluster.run(f"tools/kubectl -n {name} wait --for=condition=Ready pod/client --timeout=60s")
    return cluster
