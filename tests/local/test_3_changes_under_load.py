"""Changes while clients read without a pause: none of their requests may fail."""

import time

import pytest

from tests.local.mesh import Mesh
from tests.support.exercise import healthy_v2, reads, rolling_updates, twenty_switches
from tests.support.load import ClosedLoop


@pytest.fixture
def with_v2(v1_only: Mesh) -> Mesh:
    healthy_v2(v1_only)
    return v1_only


def test_twenty_switches_of_version(with_v2: Mesh) -> None:
    assert twenty_switches(with_v2).rate >= 100


def test_a_rolling_update_of_each_service(with_v2: Mesh) -> None:
    assert rolling_updates(with_v2, 60).rate >= 100


def test_a_switch_is_seen_by_clients_within_5_s(with_v2: Mesh) -> None:
    mesh = with_v2
    gateway = mesh.kubectl(
        "-n istio-system get pods -l istio=ingressgateway -o jsonpath='{.items[0].status.podIP}'"
    )
    mesh.s2("v1")
    time.sleep(5)

    def to_v2() -> float:
        return mesh.counter(
            gateway, "istio_requests_total", destination_app="cmpt756s2", destination_version="v2"
        )

    before = to_v2()
    with ClosedLoop(reads(mesh), mesh.headers, users=2):
        time.sleep(2)
    assert to_v2() == before
