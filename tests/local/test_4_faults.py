"""Faults: injected ones, killed processes, a store that is away."""

import time

import pytest

from tests.local.mesh import Mesh, eventually
from tests.support.exercise import delay_of_db, fault_of_db


@pytest.fixture
def song(mesh: Mesh) -> str:
    return f"/music/{mesh.sample('music')[0]['music_id']}"


def test_delay_of_db(mesh: Mesh, song: str) -> None:
    delay_of_db(mesh, song)


def test_fault_of_db(mesh: Mesh, song: str) -> None:
    fault_of_db(mesh, song)


@pytest.mark.parametrize("program", ["gunicorn", "envoy"])
@pytest.mark.parametrize("app", ["cmpt756s1", "cmpt756s2", "cmpt756db"])
def test_a_killed_service_is_back_within_5_s(mesh: Mesh, song: str, app: str, program: str) -> None:
    mesh.kubectl(f"-n c756ns rollout restart deploy -l app={app}")
    mesh.kubectl(f"-n c756ns rollout status deploy -l app={app} --timeout=60s")
    pod = mesh.pod(app)["name"]
    assert mesh.kill(pod, program)
    path = f"/user/{mesh.sample('users')[0]['user_id']}" if app == "cmpt756s1" else song
    start = time.monotonic()
    in_a_row = range(20)
    eventually(
        lambda: all(mesh.call("GET", path).status_code == 200 for _ in in_a_row), 5, f"{app} after SIGKILL"
    )
    print(f"{app}: back after {time.monotonic() - start:.1f} s")
    eventually(
        lambda: mesh.kubectl(f"-n c756ns get pod {pod} --no-headers").split()[1:4] == ["2/2", "Running", "1"],
        10,
        "the restart is counted",
    )


def test_a_store_that_is_away(mesh: Mesh, song: str) -> None:
    user = f"/user/{mesh.sample('users')[0]['user_id']}"
    headers = mesh.headers
    mesh.kubectl("-n aws scale deploy/dynamodb --replicas=0")
    mesh.kubectl("-n aws wait --for=delete pod -l app=dynamodb --timeout=30s")
    for path in (user, song):
        start = time.monotonic()
        answer = mesh.call("GET", path, headers=headers)
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]
        assert time.monotonic() - start < 3
    mesh.kubectl("-n aws scale deploy/dynamodb --replicas=1")
    mesh.kubectl("-n aws rollout status deploy/dynamodb --timeout=60s")
    back = time.monotonic() + 5
    eventually(lambda: mesh.call("GET", song).status_code == 200, 5, "service after DynamoDB is back")
    eventually(lambda: mesh.call("GET", user).status_code == 200, max(0.1, back - time.monotonic()), "S1 too")
    assert {mesh.call("GET", song).status_code for _ in range(30)} == {200}
