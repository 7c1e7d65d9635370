"""What each of the other targets of k8s.mak does, seen by its effect."""

import json

from tests.local.mesh import Mesh, eventually


def deployment(mesh: Mesh, name: str) -> dict:
    return json.loads(mesh.kubectl(f"-n c756ns get deploy {name} -o json"))


def probes(mesh: Mesh, name: str) -> set[str]:
    container = deployment(mesh, name)["spec"]["template"]["spec"]["containers"][0]
    return {key for key in container if key.endswith("Probe")}


def test_help_names_every_target(mesh: Mesh) -> None:
    text = mesh.run("make -f k8s.mak")
    assert text == mesh.run("make -f k8s.mak help")
    for target in (
        "provision",
        "deploy",
        "gw",
        "s1",
        "s2",
        "db",
        "monitoring",
        "rollout",
        "scratch",
        "clean",
        "loader",
    ):
        assert f"\n  {target} " in f"\n{text}", target
    assert "warning" not in text


def test_looking(mesh: Mesh) -> None:
    assert mesh.run("make -f k8s.mak showcontext") == "local\n"
    assert mesh.run("make -f k8s.mak extern") == f"127.0.0.1 {mesh.ingress_port}\n"
    assert "istio-ingressgateway" in mesh.run("make -f k8s.mak lsa")
    row = next(line for line in mesh.run("make -f k8s.mak lsd").splitlines() if line.startswith("cmpt756db-"))
    assert row.split()[1:] == ["v1", "cmpt756db", "ghcr.io/c756/cmpt756db:v1", "istio-proxy"]
    assert "no Kubernetes dashboard" in mesh.run("make -f k8s.mak dashboard")
    assert "c756-gateway" in mesh.run("make -f k8s.mak gw")
    assert "cmpt756db" in mesh.run("make -f k8s.mak monitoring").split("NAME ")[-1]
    mesh.call("GET", f"/music/{mesh.sample('music')[0]['music_id']}")
    mesh.call("GET", f"/user/{mesh.sample('users')[0]['user_id']}")
    for service in ("s1", "s2v1", "db"):
        lines = mesh.run(f"make -s -f k8s.mak log-{service}").splitlines()
        assert any(json.loads(line)["message"] == "request" for line in lines if line.startswith("{")), lines[
            -3:
        ]


def test_images_one_and_all(mesh: Mesh) -> None:
    mesh.run("make -f k8s.mak clean")
    assert "Building ghcr.io/c756/cmpt756s1:v1" in mesh.run("SVC=s1 make -f k8s.mak cr")
    built = mesh.run("make -f k8s.mak cri")
    assert "cmpt756s1" not in built  # its log says that it is built
    for image in ("cmpt756db:v1", "cmpt756s2:v1", "cmpt756s2:v2", "c756-loader:v1"):
        assert f"Building ghcr.io/c756/{image}" in built
    assert mesh.run("make -f k8s.mak cri") == ""


def test_health_off_and_on_again(mesh: Mesh) -> None:
    names = ("cmpt756s1", "cmpt756s2-v1", "cmpt756db")
    mesh.run("make -f k8s.mak health-off")
    for name in names:
        assert probes(mesh, name) == set()
    mesh.run("make -f k8s.mak s1 db && make -f k8s.mak s2 && make -f k8s.mak rollout")
    for name in names:
        assert probes(mesh, name) == {"startupProbe", "livenessProbe", "readinessProbe"}


def test_loading_again_changes_nothing(mesh: Mesh) -> None:
    out = mesh.run("make -f k8s.mak loader")
    assert "user 150, music 1200; bad rows: 0" in out, out


def test_reinstate_after_scratch(mesh: Mesh) -> None:
    mesh.run("make -f k8s.mak scratch")
    mesh.run("make -f k8s.mak reinstate")
    labels = json.loads(mesh.kubectl("get namespace c756ns -o json"))["metadata"]["labels"]
    assert labels["istio-injection"] == "enabled"
    mesh.run("make -f k8s.mak provision")
    mesh.forget_token()
    eventually(
        lambda: mesh.call("GET", "/music/?limit=1").status_code == 200, 10, "the services after provision"
    )


def test_another_place_is_refused_where_it_is_not(mesh: Mesh) -> None:
    out = mesh.run("PLACE=nowhere make -f k8s.mak ls", ok=False)
    assert "nowhere" in out


def test_missing_packages_are_named(mesh: Mesh) -> None:
    """Without root, set-up ends with one line that names the package."""
    fakes = mesh.root / ".fakes"
    fakes.mkdir()
    for name, line in (("id", "echo 1000"), ("javac", "exit 127")):
        (fakes / name).write_text(f"#!/bin/sh\n{line}\n")
        (fakes / name).chmod(0o755)
    out = mesh.run(f"PATH={fakes}:$PATH tools/setup.sh", ok=False).strip()
    assert len(out.splitlines()) == 1
    assert out.startswith(
        "setup: a JDK, version 17 or newer, is missing: install the package 'default-jdk-headless'"
    )
