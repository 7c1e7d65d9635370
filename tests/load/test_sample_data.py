"""The sample data is what its generator writes, and fits the API."""

import csv
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "gatling" / "data"
GENERATOR = ROOT / "tools" / "sample_data.py"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def generate(*arguments: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(GENERATOR), *arguments],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_files_are_what_the_generator_writes(tmp_path: Path, seed: str) -> None:
    assert generate("--out", str(tmp_path), seed=seed).returncode == 0
    for name in ("users.csv", "music.csv"):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), (
            f"run {GENERATOR.name} and commit {name}"
        )


def test_check_tells_an_edited_file(tmp_path: Path) -> None:
    generate("--out", str(tmp_path))
    assert generate("--check", "--out", str(tmp_path)).returncode == 0
    with (tmp_path / "music.csv").open("a") as file:
        file.write("x\n")
    checked = generate("--check", "--out", str(tmp_path))
    assert checked.returncode == 1
    assert "music.csv" in checked.stderr
    assert "users.csv" not in checked.stderr


def test_users() -> None:
    users = rows("users.csv")
    assert len(users) >= 100
    assert list(users[0]) == ["user_id", "fname", "lname", "email"]
    assert len({user["email"] for user in users}) == len(users)
    assert {user["email"].split("@")[1] for user in users} <= {"example.com", "example.net", "example.org"}
    assert all(user["email"].isascii() for user in users)


def test_songs() -> None:
    songs = rows("music.csv")
    assert len(songs) >= 1000
    assert list(songs[0]) == ["music_id", "Artist", "SongTitle"]
    assert len({(song["Artist"], song["SongTitle"]) for song in songs}) == len(songs)
    assert len({song["Artist"] for song in songs}) >= 100


def test_ids_are_stable_and_no_field_is_empty() -> None:
    namespace = uuid.uuid5(uuid.NAMESPACE_DNS, "c756.example.com")
    for name, kind in (("users.csv", "user"), ("music.csv", "music")):
        for number, row in enumerate(rows(name), start=1):
            assert row[f"{kind}_id"] == str(uuid.uuid5(namespace, f"{kind}/{number}"))
            assert all(value == value.strip() != "" for value in row.values())
