"""The cluster that the environment names, as a place to run."""

import json
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.place import Counts, Place
from tests.support.waiting import eventually

CONTEXT = os.environ.get("C756_TEST_CONTEXT", "")
"""kubectl's context of the cluster; without it nothing of this folder is collected."""
REGID = "c756test"
"""Owner of the tests' images and suffix of their tables."""
OUTSIDE = "c756-outside"
"""Namespace without sidecars under restricted pod security; the tests' Prometheus, so to speak."""
ELSEWHERE = "c756-elsewhere"
"""Another team's namespace, with sidecars."""
SCRAPE_SECONDS = 40
"""Within this time Prometheus has scraped all; services every 30 s."""
SIDECAR_SCRAPE_SECONDS = 6
"""A little more than the time between two scrapes of the sidecars."""

_PASSED = ("KUBECONFIG", "CLUSTER_IP", "CLUSTER_PORT")
_GATEWAY_COUNTS = (
    "sum by (destination_version, response_code) (istio_requests_total{"
    'reporter="source",source_workload="istio-ingressgateway",destination_app="cmpt756s2"})'
)
_ASK = """
import sys, urllib.error, urllib.request
method, url, data = sys.argv[1], sys.argv[2], sys.argv[3].encode() or None
request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
try:
    print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(type(error).__name__)
"""


class Cluster(Place):
    """The cluster of CONTEXT, driven from a copy of the checkout."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        # The tests' client without a sidecar stands where the NetworkPolicies expect Prometheus.
        values = folder / "values.yaml"
        values.write_text(
            f"networkPolicy: {{monitoringNamespaces: [monitoring, istio-system, {OUTSIDE}]}}\n",
            encoding="utf-8",
        )
        flags = f"{os.environ.get('HELM_FLAGS', '')} {env.pop('HELM_FLAGS', '')} -f {values}"
        super().__init__(
            folder,
            "",
            os.environ["PROMETHEUS_URL"],
            {**passed, **env, "PLACE": CONTEXT, "REGID": REGID, "HELM_FLAGS": flags},
        )
        self.address = ":".join(self._ingress())
        self.images = f"{os.environ.get('CREG', 'ghcr.io')}/{REGID}"
        self.pull_policy = "IfNotPresent" if self.env.get("IMAGE_BUILD") else "Always"
        self.deploy_output = ""

    def _ingress(self) -> tuple[str, str]:
        if "CLUSTER_IP" in self.env:
            return self.env["CLUSTER_IP"], self.env.get("CLUSTER_PORT", "80")
        address, port = self.run("tools/getip.sh").split()
        return address, port

    # --- the cluster -----------------------------------------------------------------------------------
    def has(self, what: str) -> bool:
        """Whether the cluster has an object or a kind, as `kubectl get` names it."""
        return self.run(f"tools/kubectl get {what} --ignore-not-found -o name").strip() != ""

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """Pods of c756ns that are not on their way out."""
        chosen = self.get(f"pods {f'-l {selector}' if selector else ''}")["items"]
        return [pod for pod in chosen if "deletionTimestamp" not in pod["metadata"]]

    def apply(
        self, objects: list[dict[str, Any]], *, namespace: str = "c756ns", dry: bool = False, ok: bool = True
    ) -> str:
        """Create objects; `dry`: only ask the API server, admission included."""
        file = self.root / ".objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        mode = "--dry-run=server" if dry else ""
        return self.run(f"tools/kubectl -n {namespace} create {mode} -f {file}", ok=ok)

    def ask(
        self, target: str, url: str, *, method: str = "GET", data: str = "", namespace: str = "c756ns"
    ) -> str:
        """Send a request from inside a pod (or deploy/NAME); return its status, or the error's name."""
        words = shlex.join(["python3", "-c", _ASK, method, url, data])
        return self.run(f"tools/kubectl -n {namespace} exec {target} -- {words} 2>/dev/null").strip()

    # --- metrics ---------------------------------------------------------------------------------------
    def number(self, promql: str) -> float:
        """Return the value of a query for one number; 0 without a series."""
        rows = self.query(promql)
        return float(rows[0]["value"][1]) if rows else 0.0

    def _gateway_counts(self) -> Counts:
        counts = {(version, code): 0 for version in ("v1", "v2") for code in ("200", "500")}
        for row in self.query(_GATEWAY_COUNTS):
            of = row["metric"]["destination_version"], row["metric"]["response_code"]
            counts[of] = counts.get(of, 0) + round(float(row["value"][1]))
        return counts

    def _settled(self) -> Counts:
        """Counts that two scrapes agree about."""
        counts = self._gateway_counts()
        deadline = time.monotonic() + 60
        while True:
            time.sleep(SIDECAR_SCRAPE_SECONDS)
            again = self._gateway_counts()
            if again == counts:
                return counts
            assert time.monotonic() < deadline, (
                "the gateway's counts do not come to rest: does another load run?"
            )
            counts = again

    @contextmanager
    def counted(self, requests_sent: int) -> Iterator[Counts]:
        before = self._settled()
        got: Counts = {}
        yield got

        def delta() -> Counts:
            after = self._gateway_counts()
            return {key: after[key] - before.get(key, 0) for key in after}

        eventually(lambda: sum(delta().values()) >= requests_sent, SCRAPE_SECONDS, "the counts", pause=1)
        got.update(delta())


def skip_without(condition: object, name: str, reason: str) -> None:
    """Skip a test where the cluster lacks something, by its name and the reason."""
    if not condition:
        pytest.skip(f"{name}: {reason}")
