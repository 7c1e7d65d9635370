"""Wrong definitions are refused before anything is applied, and the mesh keeps what it had."""

import pytest

from tests.local.mesh import Mesh


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("weight: 10", "weight: -10", "spec.http[0].route[1].weight"),
        ("subset: v2", "subset: v3", "spec.http[0].route[1].destination.subset"),
        ("weight: 10", "wieght: 10", "spec.http[0].route[1].wieght"),
        ("weight: 10", "weight: ten", "spec.http[0].route[1].weight"),
        ("  http:", "\thttp:", "cluster/s2-vs-v2.yaml"),
    ],
)
def test_a_wrong_virtual_service(v1_only: Mesh, old: str, new: str, path: str) -> None:
    mesh = v1_only
    before = mesh.kubectl("-n c756ns get virtualservice cmpt756s2 -o yaml")
    deployments = mesh.kubectl("-n c756ns get deploy -o name")
    mesh.edit("cluster/s2-vs-v2.yaml", old, new)
    out = mesh.s2("v2", ok=False)
    assert "cluster/s2-vs-v2.yaml" in out
    assert path in out
    assert "Traceback" not in out
    assert mesh.kubectl("-n c756ns get virtualservice cmpt756s2 -o yaml") == before
    assert mesh.kubectl("-n c756ns get deploy -o name") == deployments
    # Who goes round the makefile meets the same refusal at the API.
    assert mesh.kubectl("-n c756ns apply -f cluster/s2-vs-v2.yaml", ok=False)
    assert mesh.kubectl("-n c756ns get virtualservice cmpt756s2 -o yaml") == before


def test_an_unknown_version_is_named(mesh: Mesh) -> None:
    assert "cluster/s2-dpl-v9.yaml" in mesh.s2("v9", ok=False)


def test_a_field_that_the_mesh_cannot_follow_is_refused(mesh: Mesh) -> None:
    mesh.edit("cluster/db-vs-fault.yaml", "httpStatus: 503", "grpcStatus: UNAVAILABLE")
    out = mesh.kubectl("-n c756ns apply -f cluster/db-vs-fault.yaml", ok=False)
    mesh.edit("cluster/db-vs-fault.yaml", "grpcStatus: UNAVAILABLE", "httpStatus: 503")
    assert "spec.http[0].fault.abort.grpcStatus" in out
