"""The workflows: actionlint's checks, and that they build what the operator's makefile and the manifests name."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.clouds.checkout import ROOT, VENV

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
FOLDER = ROOT / ".github/workflows"
PATHS = sorted(FOLDER.glob("*.yml"))


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key "on" as true.
    return {
        "on" if key is True else key: value
        for key, value in yaml.safe_load((FOLDER / name).read_text()).items()
    }


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


@pytest.mark.skipif(shutil.which("go") is None, reason="actionlint is a Go module, and there is no 'go' here")
def test_actionlint_finds_nothing() -> None:
    command = ["go", "run", ACTIONLINT, f"-shellcheck={VENV / 'shellcheck'}", "-pyflakes=", *map(str, PATHS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_push_is_linted_and_tested() -> None:
    read = workflow("test.yml")
    assert read["on"] == {"push": None, "pull_request": None}
    commands = [step["run"] for step in steps("test.yml") if "run" in step]
    assert {"make lint", "make test"} <= set(commands)


def test_the_images_are_all_that_there_are() -> None:
    built = workflow("images.yml")["jobs"]["image"]["strategy"]["matrix"]["include"]
    pairs = {(f"{image['name']}-{image['version']}", image["dockerfile"]) for image in built}
    rules = re.findall(
        r"^\$\(LOGS\)/(.+)\.log: DOCKERFILE = (.+)$", (ROOT / "k8s.mak").read_text(), re.MULTILINE
    )
    by_makefile = {
        (name.replace("$(S2_VER)", version), path.replace("$(S2_VER)", version))
        for name, path in rules
        for version in ("v1", "v2")
    }
    assert pairs == by_makefile
    assert all((ROOT / path).is_file() for _, path in pairs)


def test_images_are_pushed_for_both_processors_and_only_for_a_tag() -> None:
    assert workflow("images.yml")["on"].keys() == {"push"}
    assert workflow("images.yml")["on"]["push"].keys() == {"tags"}
    (build,) = [step["with"] for step in steps("images.yml") if "build-push-action" in step.get("uses", "")]
    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert build["context"] == "."
    assert build["tags"].splitlines() == [
        "${{ steps.image.outputs.name }}:${{ matrix.version }}",
        "${{ steps.image.outputs.name }}:${{ matrix.version }}-${{ github.ref_name }}",
    ]


def test_an_owner_in_capitals_becomes_a_registrys_name() -> None:
    (name,) = [step for step in steps("images.yml") if step.get("id") == "image"]
    script = name["run"].replace('>>"$GITHUB_OUTPUT"', "")
    env = {"OWNER": "Some-One", "NAME": "cmpt756db"}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "name=ghcr.io/some-one/cmpt756db\n"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_no_more_permissions_than_needed(path: Any) -> None:
    read = workflow(path.name)
    assert read["permissions"] == {"contents": "read"}
    extra = {name: job["permissions"] for name, job in read["jobs"].items() if "permissions" in job}
    wanted = {"image": {"contents": "read", "packages": "write"}} if path.name == "images.yml" else {}
    assert extra == wanted
    assert all("timeout-minutes" in job for job in read["jobs"].values())
    for step in steps(path.name):
        if "uses" in step:
            assert re.fullmatch(r"(actions|docker)/[a-z-]+@v[0-9]+", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
