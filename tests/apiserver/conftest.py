"""A real API server in a thread of its own; the real kubectl and Helm speak to it."""

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local.apiserver import ApiServer, ExecEnvironment
from local.kinds import RESOURCES
from local.settings import ROOT, Settings
from local.store import Store

KUBECTL = Path(sys.executable).with_name("kubectl")
SECONDS = 20


class FakeRunner:
    """Pods without processes: logs and code folders are files that the tests write."""

    def __init__(self, folder):
        self.folder = folder

    def log_path(self, pod, container, previous):
        path = self.folder / pod["metadata"]["name"] / f"{container}{'.previous' if previous else ''}.log"
        return path if path.is_file() else None

    def exec_environment(self, pod, container):
        base = self.folder / pod["metadata"]["name"]
        code = base / "code"
        code.mkdir(parents=True, exist_ok=True)
        (code / "app.py").write_text("# the application\n")
        env = {"PATH": "/usr/bin:/bin", "HOME": str(base / "home"), "HOSTNAME": pod["metadata"]["name"]}
        return ExecEnvironment(code, {**env, "GREETING": f"hello from {container}"})


@dataclass
class Answer:
    """One answer over plain HTTPS."""

    code: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Api:
    """The server, from a test's side."""

    def __init__(self, settings, folder):
        self.settings = settings
        self.runner = FakeRunner(folder)
        self.loop = asyncio.new_event_loop()
        self.store = Store()
        self.server = ApiServer(self.store, settings, self.runner)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(SECONDS)
        config = yaml.safe_load(self.settings.kubeconfig.read_text())
        self.token = config["users"][0]["user"]["token"]
        self.context = ssl.create_default_context()
        data = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        self.context.load_verify_locations(cadata=data.decode())

    def stop(self):
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(SECONDS)

    def do(self, action):
        """Call `action(store)` in the server's loop, as controllers do."""

        async def call():
            return action(self.store)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(SECONDS)

    def env(self):
        keep = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "HOME")}
        cache = str(self.settings.state / "kubectl-cache")
        own = {"KUBECONFIG": str(self.settings.kubeconfig), "KUBECACHEDIR": cache}
        return {**keep, **own, "C756_STATE": str(self.settings.state)}

    def kubectl(self, *args, code=0, text=None, namespace=None):
        """Run kubectl and return its standard output (its standard error where it is to fail)."""
        command = [str(KUBECTL), *(["-n", namespace] if namespace else []), *args]
        done = subprocess.run(
            command, env=self.env(), input=text, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def helm(self, *args, code=0):
        """Run local/bin/helm."""
        done = subprocess.run(
            [str(ROOT / "local/bin/helm"), *args],
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == code, (
            f"helm {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout if code == 0 else done.stderr

    def http(self, method, path, body=None, *, token=True, **headers):
        """Send one request over plain HTTPS."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        found = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            found.setdefault("Content-Type", "application/json")
        if token:
            found["Authorization"] = f"Bearer {self.token if token is True else token}"
        url = f"https://{self.settings.api_host}:{self.settings.api_port}{path}"
        request = urllib.request.Request(url, data, found, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=self.context) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("apiserver")
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    server = Api(Settings(cache=folder / "cache", state=folder / "state", net=90 + worker), folder / "pods")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def ns(api):
    """A namespace of the test's own; its contents are removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.do(lambda s: s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
    yield name

    def empty(store):
        for resource in RESOURCES:
            if resource.namespaced:
                for obj in store.select(resource.kind, name):
                    store.remove(obj)
        store.remove(store.get("Namespace", "", name))

    api.do(empty)


def container(name="app", image="example/app:1", **fields):
    return {"name": name, "image": image, **fields}


def deployment(name="web", **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container(ports=[{"containerPort": 80}])]},
            },
            **spec,
        },
    }


def running_pod(api, ns, name="web-1", containers=("app",)):
    """Create a pod and report it as running and ready, as the kubelet does."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": ns, "labels": {"app": "web"}},
        "spec": {"containers": [container(each) for each in containers]},
    }

    def make(store):
        created = store.create(pod)
        started = {"running": {"startedAt": created["metadata"]["creationTimestamp"]}}
        created["status"] = {
            "phase": "Running",
            "podIP": "127.90.1.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {"name": each, "ready": True, "restartCount": 0, "state": started} for each in containers
            ],
        }
        return store.update(created, status=True)

    return api.do(make)
