"""A place to run, driven by the commands that a person types, in a copy of the checkout."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
# What a person's shell may hold, and what a test sets where it wants it.
_OTHERS = (
    "KUBECONFIG",
    "PLACE",
    "S2_VER",
    "SVC",
    "YES",
    "HELM_FLAGS",
    "CLUSTER_IP",
    "CLUSTER_PORT",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
)

Counts = dict[tuple[str, str], int]
"""Requests by (version of S2, status)."""


def copy_checkout(target: Path) -> None:
    """Copy what git knows and what is new, so that a test may edit it; the virtual environment is shared."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, names):
        source, copy = ROOT / os.fsdecode(name), target / os.fsdecode(name)
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    (target / ".venv").symlink_to(ROOT / ".venv")


class Place:
    """One place to run. `kubectl_program` is the kubectl that a person uses there, from the root folder."""

    kubectl_program = "tools/kubectl"

    def __init__(self, folder: Path, address: str, prometheus: str, env: dict[str, str]) -> None:
        self.root = folder / "c756"
        copy_checkout(self.root)
        self.address = address
        self.prometheus = prometheus.rstrip("/")
        self.env = {**{key: value for key, value in os.environ.items() if key not in _OTHERS}, **env}
        self.session = requests.Session()
        self._token = ""

    # --- commands ------------------------------------------------------------------------------------
    def run(self, command: str, *, ok: bool = True, seconds: float = 180, **env: str) -> str:
        """Run a shell command as a person types it in the root folder; return what it printed."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert (done.returncode == 0) == ok, f"`{command}` ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def kubectl(self, arguments: str, *, ok: bool = True) -> str:
        return self.run(f"{self.kubectl_program} {arguments}", ok=ok)

    def get(self, what: str) -> dict[str, Any]:
        """Return an object, or a list of objects, of the namespace c756ns."""
        return json.loads(self.kubectl(f"-n c756ns get {what} -o json"))

    def s2(self, version: str, *, ok: bool = True) -> str:
        return self.run("make -e -f k8s.mak s2", S2_VER=version, ok=ok)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new))

    def pod(self, app: str, version: str = "v1") -> dict[str, str]:
        """Name and address of the newest running pod of a version."""
        running = [
            (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"], pod["status"]["podIP"])
            for pod in self.get(f"pods -l app={app},version={version}")["items"]
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        assert running, f"no running pod of {app} {version}"
        _, name, address = max(running)
        return {"name": name, "ip": address}

    # --- requests --------------------------------------------------------------------------------------
    @property
    def api(self) -> str:
        return f"http://{self.address}/api/v1"

    def sample(self, kind: str) -> list[dict[str, str]]:
        with (self.root / f"gatling/data/{kind}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def login(self, uid: str | None = None) -> str:
        uid = uid or self.sample("users")[0]["user_id"]
        answer = self.session.put(f"{self.api}/user/login", json={"uid": uid}, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["jwt"]

    @property
    def headers(self) -> dict[str, str]:
        self._token = self._token or self.login()
        return {"Authorization": f"Bearer {self._token}"}

    def forget_token(self) -> None:
        """Log in again for the next request: the keys are new."""
        self._token = ""

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("headers", self.headers)
        return self.session.request(method, self.api + path, timeout=15, **kwargs)

    # --- metrics ---------------------------------------------------------------------------------------
    def query(self, promql: str) -> list[dict[str, Any]]:
        answer = self.session.get(
            f"{self.prometheus}/api/v1/query", params={"query": promql}, timeout=10
        ).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    @contextmanager
    def counted(self, requests_sent: int) -> Iterator[Counts]:
        """Fill the yielded record, at the end of the block, with what the gateway counted for S2 in it."""
        raise NotImplementedError
