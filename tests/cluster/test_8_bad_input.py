"""Bad input: one clear message within a minute, and nothing that `scratch` does not remove."""

import time
from pathlib import Path

import pytest
import yaml

from tests.cluster.cluster import CONTEXT, Cluster

LIMIT = 60
"""Seconds within which a mistake is said."""


def refused(cluster: Cluster, targets: str, **env: str) -> str:
    start = time.monotonic()
    out = cluster.run(f"make -s -f k8s.mak {targets}", ok=False, seconds=LIMIT, **env)
    print(f"{targets}: {time.monotonic() - start:.0f} s\n{out}")
    assert "Traceback" not in out
    return out


def kubeconfig(folder: Path, server: str, context: str = CONTEXT) -> str:
    file = folder / "kubeconfig"
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "none"}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(yaml.safe_dump(text))
    return str(file)


@pytest.mark.parametrize("target", ["deploy", "s2", "reinstate", "provision"])
def test_a_cluster_that_does_not_answer(cluster: Cluster, tmp_path: Path, target: str) -> None:
    # Nothing listens there; and a network that swallows everything (documentation's own, RFC 5737).
    for server in ("https://127.0.0.1:9", "https://192.0.2.1:6443"):
        out = refused(cluster, target, KUBECONFIG=kubeconfig(tmp_path, server))
        assert f"'{CONTEXT}' does not answer: " in out
        assert "Building" not in out


def test_a_context_that_is_not_there(cluster: Cluster) -> None:
    for target in ("deploy", "s1", "loader"):
        out = refused(cluster, target, PLACE="another")
        assert f"the kubeconfig has no context 'another'; it has: {CONTEXT}" in out


def test_a_kubeconfig_that_is_not_there(cluster: Cluster, tmp_path: Path) -> None:
    out = refused(cluster, "deploy", KUBECONFIG=str(tmp_path / "none"))
    assert f"the kubeconfig has no context '{CONTEXT}'" in out


@pytest.mark.parametrize(
    ("value", "path"),
    [("s1.replicas=many", "replicas"), ("probes.enabled=perhaps", "enabled"), ("nosuch.value=1", "nosuch")],
)
def test_a_value_of_the_wrong_type(cluster: Cluster, value: str, path: str) -> None:
    before = cluster.run("tools/helm history c756 -n c756ns")
    cluster.run("make -f k8s.mak clean")
    for target in ("deploy", "gw", "s1", "loader"):
        out = refused(cluster, target, HELM_FLAGS=f"{cluster.env['HELM_FLAGS']} --set {value}")
        assert path in out
        assert "Building" not in out
    assert cluster.run("tools/helm history c756 -n c756ns") == before
    cluster.run("make -f k8s.mak image-s1 image-db image-s2 image-loader", seconds=300)


def test_a_secret_that_is_missing(cluster: Cluster) -> None:
    flags = f"{cluster.env['HELM_FLAGS']} --set existingSecret=no-such-secret"
    try:
        out = refused(cluster, "gw", HELM_FLAGS=flags)
        assert "rollout: pods of cmpt756s1 cannot start" in out
        assert 'secret "no-such-secret" not found' in out
        # Those that ran before still do.
        assert cluster.call("GET", "/music/?limit=1").status_code == 200
    finally:
        cluster.run("make -f k8s.mak gw")


def test_an_image_that_cannot_be_pulled(cluster: Cluster) -> None:
    flags = f"{cluster.env['HELM_FLAGS']} --set image.registry=registry.invalid"
    try:
        for target in ("gw", "loader"):
            out = refused(cluster, target, HELM_FLAGS=flags)
            assert "cannot start" in out
            assert "registry.invalid/c756test/" in out
        assert cluster.call("GET", "/music/?limit=1").status_code == 200
    finally:
        cluster.run("make -f k8s.mak gw")
