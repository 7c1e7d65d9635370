"""Start, stop, and the wrappers of local/bin when nothing runs."""

import asyncio
import contextlib
import os
import socket
import subprocess

import pytest

from local.apiserver import ApiServer
from local.settings import ROOT, Settings
from local.store import Store

from .conftest import KUBECTL, SECONDS, FakeRunner


def settings(tmp_path):
    return Settings(cache=tmp_path / "cache", state=tmp_path / "state", net=99)


def wrapper(name, *args, **env):
    keep = {"PATH": os.environ["PATH"], **env}
    command = [str(ROOT / "local/bin" / name), *args]
    return subprocess.run(command, env=keep, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.asyncio
async def test_stop_ends_watches_at_once(tmp_path):
    found = settings(tmp_path)
    server = ApiServer(Store(), found, FakeRunner(tmp_path))
    await server.start()
    env = {"PATH": os.environ["PATH"], "KUBECONFIG": str(found.kubeconfig), "KUBECACHEDIR": str(tmp_path)}
    watch = await asyncio.create_subprocess_exec(
        str(KUBECTL), "get", "ns", "-w", env=env, stdout=asyncio.subprocess.PIPE
    )
    assert b"NAME" in await asyncio.wait_for(watch.stdout.readline(), SECONDS)
    try:
        await asyncio.wait_for(server.stop(), 3)
        assert not found.kubeconfig.exists()
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has noticed, and has ended
            watch.kill()
        await watch.wait()
    again = ApiServer(Store(), found, FakeRunner(tmp_path))
    await again.start()
    await again.stop()


@pytest.mark.asyncio
async def test_a_taken_port_is_an_oserror(tmp_path):
    found = settings(tmp_path)
    with socket.socket() as other:
        other.bind((found.api_host, found.api_port))
        other.listen()
        with pytest.raises(OSError, match="address already in use"):
            await ApiServer(Store(), found, FakeRunner(tmp_path)).start()


@pytest.mark.asyncio
async def test_what_was_there_before_is_completed(tmp_path):
    store = Store()
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "early"}})
    port = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "early"}}
    store.create({**port, "spec": {"ports": [{"port": 80}]}})
    ApiServer(store, settings(tmp_path), FakeRunner(tmp_path))
    assert store.get("Namespace", "", "early")["status"] == {"phase": "Active"}
    assert store.get("Service", "early", "s")["spec"]["clusterIP"] == "127.101.0.1"


@pytest.mark.parametrize("name", ["kubectl", "helm"])
def test_wrappers_say_that_the_mesh_does_not_run(tmp_path, name):
    done = wrapper(name, "get" if name == "kubectl" else "list", C756_STATE=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.removeprefix("Error: ") == "the one-machine mesh does not run: make up\n"


def test_kubectl_says_so_where_a_killed_mesh_left_its_kubeconfig(tmp_path):
    (tmp_path / "kubeconfig").write_text("clusters:\n- cluster:\n    server: https://127.99.0.9:6443\n")
    done = wrapper("kubectl", "get", "pods", C756_STATE=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "the one-machine mesh does not run: make up\n")
