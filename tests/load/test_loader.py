"""The loader as a process, against a fake datastore on the loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.load.fake_servers import FakeDb
from tools.loader import load as loader

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token: ünïcode & colon"
USERS = "user_id,fname,lname,email\n"
SONGS = "music_id,Artist,SongTitle\n"


def key(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def user(number: int) -> str:
    return f"{key(number)},Ada,Example {number},ada{number}@example.com\n"


def song(number: int) -> str:
    return f'{key(number)},"Ink, Well","Song ""{number}"""\n'


class Process:
    """The loader, started with an environment that holds nothing else of ours."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.loader.load", *map(str, arguments)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "LOADER_TOKEN": TOKEN, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self, timeout: float = 30) -> tuple[int, str, str]:
        try:
            out, err = self.process.communicate(timeout=timeout)
        finally:
            self.process.kill()
        return self.process.returncode, out, err


@pytest.fixture
def db() -> Iterator[FakeDb]:
    with FakeDb(TOKEN) as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Callable[[str | bytes, str | bytes], Path]:
    def write(users: str | bytes, songs: str | bytes) -> Path:
        for name, text in (("users.csv", users), ("music.csv", songs)):
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def url(server: FakeDb) -> str:
    return f"http://127.0.0.1:{server.port}/api/v1/datastore"


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def test_all_the_sample_data_is_loaded_in_time(db: FakeDb) -> None:
    started = time.monotonic()
    code, out, err = Process(DB_URL=url(db)).result()
    assert (code, err) == (0, "")
    assert time.monotonic() - started < 20
    users = (ROOT / "gatling/data/users.csv").read_text(encoding="utf-8").splitlines()
    songs = (ROOT / "gatling/data/music.csv").read_text(encoding="utf-8").splitlines()
    assert len(db.items) == len(users) + len(songs) - 2
    user_id, fname, lname, email = users[1].split(",")
    assert db.items["user", user_id] == {"fname": fname, "lname": lname, "email": email}
    assert set(db.paths) == {"/api/v1/datastore/load"}
    assert f"user {len(users) - 1}, music {len(songs) - 1}; bad rows: 0" in out.splitlines()[-1]


def test_a_second_run_changes_nothing(db: FakeDb, data: Callable[..., Path]) -> None:
    folder = data(USERS + user(1), SONGS + song(1) + song(2))
    assert Process(folder, DB_URL=url(db)).result()[0] == 0
    first = dict(db.items)
    assert Process(folder, DB_URL=url(db)).result()[0] == 0
    assert db.items == first
    assert first["music", key(2)] == {"Artist": "Ink, Well", "SongTitle": 'Song "2"'}


def test_bad_rows_are_named_and_the_others_are_loaded(db: FakeDb, data: Callable[..., Path]) -> None:
    users = [
        b"\xef\xbb\xbf" + USERS.encode(),  # a BOM, as spreadsheets write it
        user(1).encode(),
        f"{key(2)},only-one-name,x@example.com\n".encode(),
        b"not-a-uuid,Ada,Example,a@example.com\r\n",
        b"\n",
        f"{{{key(3)}}},Ada,Example,a@example.com\n".encode(),
        f"{key(4)},Ada, ,\n".encode(),
        f"{key(5)},Ada,".encode() + b"M\xfcller,m@example.com\n",
        f'{key(6)},"Ada,Example,a@example.com\n'.encode(),
        user(1).encode(),
        user(7).encode().rstrip(),
    ]
    folder = data(b"".join(users), SONGS + song(1))
    code, _, err = Process(folder, DB_URL=url(db)).result()
    assert code == 1
    assert sorted(db.items) == [("music", key(1)), ("user", key(1)), ("user", key(7))]
    file = folder / "users.csv"
    assert sorted(err.splitlines(), key=lambda line: int(line.split(":")[1])) == [
        f"{file}:3: has 3 fields, not 4 (user_id,fname,lname,email)",
        f"{file}:4: user_id is 'not-a-uuid', which is no UUID",
        f"{file}:6: user_id is '{{{key(3)}}}', which is no UUID",
        f"{file}:7: lname and email must not be empty",
        f"{file}:8: is not UTF-8 (byte 43 of the line)",
        f"{file}:9: is not CSV: unexpected end of data",
        f"{file}:10: user_id {key(1)} stands in line 2 already",
    ]


def test_a_row_that_the_datastore_refuses_is_named(db: FakeDb, data: Callable[..., Path]) -> None:
    db.refuses = lambda item: (400, {"error": "too long"}) if item["uuid"] == key(2) else None
    folder = data(USERS + user(1), SONGS + song(1) + song(2) + song(3))
    code, _, err = Process(folder, DB_URL=url(db)).result()
    assert code == 1
    assert err == f"{folder / 'music.csv'}:3: the datastore answered 400 too long\n"
    assert len(db.items) == 3


def test_more_bad_rows_than_anybody_reads_are_counted(db: FakeDb, data: Callable[..., Path]) -> None:
    folder = data(USERS + user(1), SONGS + "bad\n" * 200)
    code, out, err = Process(folder, DB_URL=url(db)).result()
    assert code == 1
    assert len(err.splitlines()) == loader.REPORTED_BAD_ROWS + 1
    assert out.endswith("bad rows: 200\n")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_service_that_is_away_for_a_moment_costs_no_row(status: int, data: Callable[..., Path]) -> None:
    with FakeDb(TOKEN, script=[(status, {"error": "away"})] * 6) as db:
        folder = data(USERS + user(1), SONGS + song(1) + song(2))
        code, _, err = Process(folder, DB_URL=url(db)).result()
        assert (code, err) == (0, "")
        assert len(db.items) == 3
        assert len(db.paths) == 9


def test_waits_for_a_service_that_starts_later(data: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = data(USERS + user(1), SONGS + song(1))
    process = Process(folder, DB_URL=f"http://127.0.0.1:{port}/api/v1/datastore")
    time.sleep(1)
    assert process.process.poll() is None
    with FakeDb(TOKEN, port=port) as db:
        assert process.result()[0] == 0
        assert len(db.items) == 2


def test_gives_up_after_its_patience(data: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = data(USERS + user(1), SONGS + song(1))
    address = f"http://127.0.0.1:{port}/x"
    code, _, err = Process(folder, DB_URL=address, LOADER_PATIENCE="1").result()
    assert code == 2
    assert err == f"loader: {address}/load: no row was taken for 1 s: no answer: Connection refused\n"


def test_a_wrong_token_ends_it_at_once(db: FakeDb) -> None:
    code, _, err = Process(DB_URL=url(db), LOADER_TOKEN="wrong").result()
    assert code == 2
    assert "refuses user svc-loader: 401 wrong user or password" in err
    assert "LOADER_TOKEN" in err
    assert "wrong\n" not in err
    assert len(db.paths) <= 8
    assert db.items == {}


def test_a_wrong_address_ends_it_at_once(data: Callable[..., Path]) -> None:
    with FakeDb(TOKEN, script=[(404, {"error": "there is no such page"})] * 20) as db:
        code, _, err = Process(data(USERS + user(1), SONGS + song(1)), DB_URL=url(db)).result()
    assert code == 2
    assert "is not the datastore's load call: 404 there is no such page; see DB_URL" in err


def test_all_rows_refused_is_a_failure(db: FakeDb, data: Callable[..., Path]) -> None:
    db.refuses = lambda item: (500, {"error": "broken"})
    code, _, err = Process(data(USERS + user(1), SONGS + song(1)), DB_URL=url(db)).result()
    assert code == 2
    assert err.endswith("no row was loaded: each one is bad or was refused\n")


@pytest.mark.parametrize(
    ("users", "says"),
    [
        (
            "user_id,fname,lname\n",
            ":1: the columns are 'user_id,fname,lname'; they must be 'user_id,fname,lname,email'",
        ),
        ("", ":1: the columns are ''; they must be"),
        (b"user_id,fn\xe4me,lname,email\n", ":1: the header is not UTF-8"),
    ],
)
def test_a_file_with_other_columns_stops_it_before_anything_is_sent(
    db: FakeDb, data: Callable[..., Path], users: str | bytes, says: str
) -> None:
    code, _, err = Process(data(users, SONGS + song(1)), DB_URL=url(db)).result()
    assert code == 2
    assert says in err
    assert db.paths == []


def test_a_missing_file_is_named(db: FakeDb, tmp_path: Path) -> None:
    code, _, err = Process(tmp_path, DB_URL=url(db)).result()
    assert (code, err) == (2, f"loader: {tmp_path / 'users.csv'}: No such file or directory\n")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LOADER_TOKEN": ""}, "LOADER_TOKEN is not set"),
        ({"DB_URL": "cmpt756db:30002"}, "DB_URL is 'cmpt756db:30002'"),
        ({"LOADER_WORKERS": "0"}, "LOADER_WORKERS is '0'"),
        ({"LOADER_PATIENCE": "1.5"}, "LOADER_PATIENCE is '1.5'"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], says: str) -> None:
    code, _, err = Process(**environment).result()
    assert code == 2
    assert says in err


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_the_proxy_is_used(db: FakeDb, data: Callable[..., Path], name: str) -> None:
    folder = data(USERS + user(1), SONGS + song(1))
    assert Process(folder, **{name: f"http://127.0.0.1:{db.port}"}).result()[0] == 0
    assert set(db.paths) == {"http://cmpt756db:30002/api/v1/datastore/load"}  # as a proxy gets it
    assert len(db.items) == 2


def test_sigterm_ends_it_between_two_rows(data: Callable[..., Path]) -> None:
    with FakeDb(TOKEN, delay=0.05) as db:
        folder = data(USERS + "".join(map(user, range(2000))), SONGS)
        process = Process(folder, DB_URL=url(db), LOADER_WORKERS="2")
        wait_for(lambda: len(db.items) > 4)
        process.process.send_signal(signal.SIGTERM)
        code, out, err = process.result(timeout=10)
        assert code == 128 + signal.SIGTERM
        assert err == "loader: ended by SIGTERM; start it again to load the rest\n"
        assert f"user {len(db.items)}, " in out.splitlines()[-1]
        assert len(db.items) < 2000


def test_sigterm_ends_its_waiting(data: Callable[..., Path]) -> None:
    with FakeDb(TOKEN, script=[(503, {"error": "away"})] * 1000) as db:
        process = Process(data(USERS + user(1), SONGS), DB_URL=url(db))
        wait_for(lambda: len(db.paths) >= 3)
        process.process.send_signal(signal.SIGTERM)
        assert process.result(timeout=10)[0] == 128 + signal.SIGTERM


def test_the_sidecar_is_asked_to_end_even_if_nothing_was_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    with FakeDb(TOKEN, script=[(200, {})]) as agent:
        monkeypatch.setattr(loader, "QUIT_SIDECAR_URL", f"http://127.0.0.1:{agent.port}/quitquitquit")
        monkeypatch.setattr(sys, "argv", ["load", str(tmp_path)])
        monkeypatch.setenv("LOADER_TOKEN", TOKEN)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        for wanted in ("false", "true"):
            monkeypatch.setenv("QUIT_SIDECAR", wanted)
            assert loader.main() == 2
        assert agent.paths == ["/quitquitquit"]
    assert loader.main() == 2  # nobody listens any more: that is said, and changes no exit code
    assert "no sidecar to end" in capsys.readouterr().err
    signal.signal(signal.SIGTERM, before)


def test_the_image_holds_what_the_loader_needs(db: FakeDb, tmp_path: Path) -> None:
    """What the Dockerfile copies is enough to run its command in /code."""
    lines = (ROOT / "tools/loader/Dockerfile").read_text().splitlines()
    for line in lines:
        match line.split():
            case ["COPY", first, *others] if not first.startswith("--") and others[-1].startswith("/code/"):
                folder = tmp_path / others[-1].removeprefix("/")
                folder.mkdir(parents=True, exist_ok=True)
                for source in (first, *others[:-1]):
                    path = ROOT / source
                    for file in path.iterdir() if path.is_dir() else [path]:
                        shutil.copy(file, folder)
    command = json.loads(next(line for line in lines if line.startswith("CMD ")).removeprefix("CMD "))
    result = subprocess.run(
        [sys.executable, *command[1:]],
        cwd=tmp_path / "code",
        env={"PATH": os.environ["PATH"], "LOADER_TOKEN": TOKEN, "DB_URL": url(db)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert len(db.items) >= 1100
