"""`make down` leaves nothing behind but the data; the next `make up` finds it."""

import socket
import time

from tests.local.mesh import Mesh


def test_down_leaves_nothing_and_up_is_quick(mesh: Mesh) -> None:
    song = mesh.call("POST", "/music/", json={"Artist": "Kept", "SongTitle": "Over Night"}).json()["music_id"]
    out = mesh.run("make down")
    assert "stopped" in out
    assert mesh.processes() == []
    for port in (mesh.ingress_port, mesh.prometheus_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not list(mesh.state.rglob("*.sock"))
    assert not (mesh.state / "daemon.pid").exists()
    assert not (mesh.state / "kubeconfig").exists()
    assert "does not run" in mesh.run("make -f local.mak ls")
    assert "make up" in mesh.kubectl("get pods", ok=False)
    assert "does not run" in mesh.run("make down")

    start = time.monotonic()
    mesh.run("make up")
    print(f"warm make up: {time.monotonic() - start:.1f} s")
    mesh.forget_token()
    assert mesh.call("GET", f"/music/{song}").json()["Items"][0]["Artist"] == "Kept"

    mesh.run("make -f local.mak scratch")
    assert mesh.processes() == []
    assert not mesh.state.exists()
