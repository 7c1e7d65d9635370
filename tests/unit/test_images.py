"""The Dockerfiles: small, cache-friendly, not root, and all that the service imports is in the image."""

import ast
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

from tests.unit.world import ROOT

IMAGES = {"s1": 30000, "s2/v1": 30001, "s2/v2": 30001, "db": 30002}
LOCKS = {"s1": "s1", "s2/v1": "s2", "s2/v2": "s2", "db": "db"}


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> str:
    """Folder of an image."""
    return str(request.param)


def instructions(image: str) -> list[tuple[str, str]]:
    parser = DockerfileParser(str(ROOT / image), cache_content=True)
    return [
        (line["instruction"], line["value"]) for line in parser.structure if line["instruction"] != "COMMENT"
    ]


def stages(image: str) -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for instruction, value in instructions(image):
        if instruction == "FROM":
            found.append([])
        elif found:
            found[-1].append((instruction, value))
    return found


def values(stage: list[tuple[str, str]], instruction: str) -> list[str]:
    return [value for name, value in stage if name == instruction]


def test_two_stages_from_one_base(image: str) -> None:
    assert instructions(image)[0] == ("ARG", "BASE_IMAGE=python:3.13-slim")
    assert values(instructions(image), "FROM") == ["${BASE_IMAGE} AS build", "${BASE_IMAGE}"]


def test_packages_are_installed_by_hash_before_any_code_is_copied(image: str) -> None:
    build, final = stages(image)
    assert values(build, "COPY") == [f"{LOCKS[image]}/requirements.txt /tmp/requirements.txt"]
    (install,) = [run for run in values(build, "RUN") if "pip install" in run]
    assert "--require-hashes" in install
    assert install.endswith("-r /tmp/requirements.txt")
    assert values(final, "RUN") == []
    assert values(final, "COPY")[0] == "--from=build /opt/venv /opt/venv"
    assert values(final, "COPY")[-1] == f"{image}/app.py /code/"


def test_it_runs_gunicorn_as_nobody_in_code(image: str) -> None:
    final = stages(image)[1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", values(final, "USER")[-1])
    assert values(final, "WORKDIR") == ["/code"]
    assert values(final, "CMD") == ['["gunicorn", "-c", "python:servicekit.gunicorn_conf", "app:app"]']
    assert values(final, "EXPOSE") == [str(IMAGES[image])]
    assert f"PORT={IMAGES[image]}" in " ".join(values(final, "ENV")).split()
    assert values(final, "HEALTHCHECK") == []


def copied(image: str) -> dict[PurePosixPath, Path]:
    """Files of the image under /code, and where they come from."""
    files: dict[PurePosixPath, Path] = {}
    for value in values(stages(image)[1], "COPY"):
        *sources, target = value.split()
        if sources[0].startswith("--from="):
            continue
        for source in sources:
            path = ROOT / source
            assert path.exists(), source
            for file in [path] if path.is_file() else path.rglob("*.py"):
                inside = file.name if path.is_file() else file.relative_to(path).as_posix()
                place = PurePosixPath(target) / inside if target.endswith("/") else PurePosixPath(target)
                files[place] = file
    return files


def test_all_modules_that_are_imported_are_in_the_image(image: str) -> None:
    files = copied(image)
    modules = {
        ".".join(place.relative_to("/code").with_suffix("").parts).removesuffix(".__init__")
        for place in files
        if place.suffix == ".py"
    }
    assert "app" in modules
    wanted: set[str] = set()
    for place, file in files.items():
        if place.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                wanted.add(node.module)
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
    ours = {name for name in wanted if name.split(".")[0] in {"servicekit", "s1", "s2", "db"}}
    assert ours
    assert ours <= modules


def test_nothing_is_in_an_image_that_it_does_not_need(image: str) -> None:
    others = {"s1", "s2", "db"} - {LOCKS[image]}
    assert not [place for place in copied(image) if place.parts[2] in others]


def test_images_differ_in_names_only() -> None:
    def skeleton(image: str) -> str:
        text = "\n".join(" ".join(line) for line in instructions(image))
        text = re.sub(r"COPY \S+/__init__\.py .*", "COPY modules", text)
        for own in (image, LOCKS[image], str(IMAGES[image])):
            text = text.replace(own, "OWN")
        return text

    assert len({skeleton(image) for image in IMAGES}) == 1


@pytest.mark.parametrize("lock", sorted(set(LOCKS.values())))
def test_locks_hold_a_hash_each_and_nothing_of_a_machine(lock: str) -> None:
    text = (ROOT / lock / "requirements.txt").read_text()
    requirements: list[Any] = re.findall(
        r"^(\S+==\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    assert len(requirements) == len(re.findall("^[a-z]", text, re.MULTILINE)) > 10
    assert "://" not in text
    assert "--index-url" not in text
    assert not re.search(r"(^|\s)/\w", text)
