"""What `provision` calls helm with, and what it leaves alone: programs stand in for the cluster's kubectl and helm."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EMPTY = 'kube-system/coredns {"k8s-app":"kube-dns"} registry.k8s.io/coredns/coredns:v1.12.1\n'
FULL = (
    EMPTY
    + 'istio-ingress/istio-ingress {"app":"istio-ingress","istio":"ingressgateway"} auto\n'
    + 'monitoring/operator {"app":"x"} quay.io/prometheus-operator/prometheus-operator:v0.90.0\n'
    + 'istio-system/kiali {"app":"kiali"} quay.io/kiali/kiali:v2.24.0\n'
)
WEBHOOK = "mutatingwebhookconfiguration.admissionregistration.k8s.io/istio-sidecar-injector\n"
CHARTS = {
    "base": "https://istio-release.storage.googleapis.com/charts",
    "istiod": "https://istio-release.storage.googleapis.com/charts",
    "gateway": "https://istio-release.storage.googleapis.com/charts",
    "kube-prometheus-stack": "https://prometheus-community.github.io/helm-charts",
    "kiali-server": "https://kiali.org/helm-charts",
}


class World:
    """Programs that answer as a cluster with these Deployments and webhooks would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.calls.write_text("")

    def cluster(self, deployments: str, webhooks: str) -> None:
        (self.folder / "deployments").write_text(deployments)
        (self.folder / "webhooks").write_text(webhooks)
        self._program(
            "kubectl",
            f'case "$*" in *mutatingwebhook*) cat {self.folder}/webhooks;; '
            f"*'get deploy'*) cat {self.folder}/deployments;; esac",
        )
        self._program("helm", f'echo "$*" >>{self.calls}')

    def _program(self, name: str, line: str) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)

    def provision(self, **env: str) -> tuple[int, str]:
        path = f"{self.folder}:{os.environ['PATH']}"
        done = subprocess.run(
            ["tools/provision.sh"],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "PLACE": "somewhere", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout

    def installed(self) -> list[dict[str, str]]:
        """Each helm call: its options by name, with `release` and `chart`."""
        found = []
        for line in self.calls.read_text().splitlines():
            words = line.split()
            assert words[:4] == ["--kube-context", "somewhere", "upgrade", "--install"]
            options = {"release": words[4], "chart": words[5]}
            rest = iter(words[6:])
            for word in rest:
                options[word] = "" if word in ("--create-namespace", "--wait") else next(rest)
            found.append(options)
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_empty_cluster_gets_everything_in_order(world: World) -> None:
    world.cluster(EMPTY, "")
    code, out = world.provision()
    assert code == 0, out
    calls = world.installed()
    assert {call["chart"]: call["--repo"] for call in calls} == CHARTS
    assert [call["chart"] for call in calls] == list(CHARTS)
    for call in calls:
        assert call["--version"].count(".") == 2  # a pinned version
        assert "--wait" in call
        assert (ROOT / call["-f"]).is_file()
        assert call["-n"] == ("monitoring" if call["chart"] == "kube-prometheus-stack" else "istio-system")
    # The name of the gateway's release is its Service's and its identity's.
    assert calls[2]["release"] == "istio-ingressgateway"


def test_what_is_there_is_named_and_left_alone(world: World) -> None:
    world.cluster(FULL, WEBHOOK)
    code, out = world.provision()
    assert code == 0, out
    assert world.installed() == []
    for name, where in (
        ("Istio", "istio-sidecar-injector"),
        ("The ingress gateway", "istio-ingress/istio-ingress"),
        ("The Prometheus operator", "monitoring/operator"),
        ("Kiali", "istio-system/kiali"),
    ):
        line = next(line for line in out.splitlines() if line.startswith(f"{name} is there already"))
        assert where in line


def test_parts_of_it(world: World) -> None:
    world.cluster(EMPTY, WEBHOOK)
    code, out = world.provision(PROVISION="istio kiali")
    assert code == 0, out
    assert [call["chart"] for call in world.installed()] == ["kiali-server"]


def test_a_part_that_does_not_exist(world: World) -> None:
    world.cluster(EMPTY, "")
    code, out = world.provision(PROVISION="istio jaeger")
    assert code == 2
    assert "'jaeger'; it may have: istio gateway prometheus kiali" in out
    assert world.installed() == []
