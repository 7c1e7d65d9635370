"""The cluster that a test runs in."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.runner.cluster import Cluster, running

_NETS = itertools.cycle(range(110, 118))


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A running cluster; the test fails if any process of it is left at its end."""
    async with running(tmp_path, next(_NETS)) as made:
        yield made
