"""One mesh for the whole folder: `make up` at the start, `make down` at the end."""

from collections.abc import Iterator

import pytest

from tests.local.mesh import Mesh
from tests.support.exercise import restored


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    try:
        mesh.up_output = mesh.run("make up", seconds=500)
        yield mesh
    finally:
        mesh.run("tools/kill-gatling.sh; make down")
        mesh.session.close()


@pytest.fixture
def v1_only(mesh: Mesh) -> Iterator[Mesh]:
    """After the test, the state after `make up` is there again: all traffic to v1, no v2, the same files."""
    with restored(mesh):
        yield mesh
