"""Injected faults: cluster/db-vs-delay.yaml and db-vs-fault.yaml."""

import pytest

from tests.cluster.cluster import Cluster
from tests.support.exercise import delay_of_db, fault_of_db


@pytest.fixture
def song(cluster: Cluster) -> str:
    return f"/music/{cluster.sample('music')[0]['music_id']}"


def test_delay_of_db(cluster: Cluster, song: str) -> None:
    delay_of_db(cluster, song)


def test_fault_of_db(cluster: Cluster, song: str) -> None:
    fault_of_db(cluster, song)
