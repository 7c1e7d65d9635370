"""The real Gatling, started by the project's scripts, against a fake API on the loopback."""

import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.load.fake_servers import Call, FakeApi

ROOT = Path(__file__).resolve().parents[2]
SLACK = 60.0  # seconds that a busy machine may take for the start and the end of a JVM


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


Finished = dict[str, tuple[FakeApi, str, str]]


@dataclass(frozen=True)
class Scripts:
    """The scripts of one checkout with a folder of logs of its own, so that no other run is touched."""

    root: Path
    logs: Path

    def run(self, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script from a folder that is not the project's, with no place but that of `environment`."""
        own = {"GATLING_LOGS": str(self.logs), "CLUSTER_IP": "", "CLUSTER_PORT": ""}
        return subprocess.run(
            [str(self.root / command), *arguments],
            env={**os.environ, **own, **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=SLACK,
            check=False,
        )

    def load(self, server: FakeApi, *arguments: str) -> str:
        """Start load on the server and return what the script says."""
        started = self.run(
            "tools/gatling.sh", *arguments, CLUSTER_IP="127.0.0.1", CLUSTER_PORT=str(server.port)
        )
        assert started.returncode == 0, started.stderr
        return started.stdout

    def listed(self) -> list[list[str]]:
        """Return the rows of the list, each as its columns; SINCE is two of them."""
        lines = self.run("tools/list-gatling.sh").stdout.splitlines()
        return [] if lines == ["No load runs."] else [line.split() for line in lines[1:]]

    def kill(self, *arguments: str) -> str:
        ended = self.run("tools/kill-gatling.sh", *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def prepared() -> None:
    result = subprocess.run(
        [str(ROOT / "tools/gatling.sh"), "prepare"], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def finished(
    prepared: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[FakeApi, str, str]]]:
    """Two runs of bounded length side by side: for each its server, what the script said, and its log."""
    scripts = Scripts(ROOT, tmp_path_factory.mktemp("logs"))
    with (
        FakeApi(expires_in=6, fails=lambda number: number % 3 == 0) as users,
        FakeApi() as both,
    ):
        runs = {
            "users": (users, ("2", "ReadUserSim", "16")),
            "both": (both, ("40", "ReadBothVaryingSim", "18")),
        }
        try:
            said = {name: scripts.load(server, *arguments) for name, (server, arguments) in runs.items()}
            wait_for(lambda: not scripts.listed(), 18 + SLACK, "the runs end by themselves")
        finally:
            scripts.kill()
        yield {
            name: (server, said[name], Path(log_of(said[name])).read_text())
            for name, (server, _) in runs.items()
        }


@pytest.fixture
def scripts(prepared: None, tmp_path: Path) -> Iterator[Scripts]:
    scripts = Scripts(ROOT, tmp_path / "logs of mine")
    yield scripts
    scripts.kill()


def log_of(said: str) -> str:
    found = re.search(r"^  log +(.+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def by_user(calls: list[Call]) -> dict[str | None, list[Call]]:
    users: dict[str | None, list[Call]] = defaultdict(list)
    for call in calls:
        users[call.uid].append(call)
    return users


def gaps(calls: list[Call]) -> list[float]:
    return [later.at - earlier.at for earlier, later in pairwise(calls)]


def test_each_user_reads_slightly_less_than_once_a_second(finished: Finished) -> None:
    server, _, _ = finished["users"]
    users = by_user(server.reads)
    assert len(users) == 2
    for reads in users.values():
        assert all(gap >= 0.99 for gap in gaps(reads))
        assert statistics.median(gaps(reads)) < 1.25
        assert 10 <= len(reads) <= 17


def test_users_do_not_start_in_one_instant(finished: Finished) -> None:
    server, _, _ = finished["users"]
    first, second = by_user(server.reads).values()
    closest = [min(abs(one.at - other.at) for other in second) for one in first]
    assert statistics.median(closest) > 0.1


def test_a_token_is_renewed_before_it_expires_and_not_at_each_read(finished: Finished) -> None:
    server, _, _ = finished["users"]
    assert all(call.status != 401 for call in server.calls)
    users = by_user(server.logins)
    assert len(users) == 2
    for logins in users.values():
        assert len(logins) >= 3
        assert all(4.7 <= gap < 6 for gap in gaps(logins))


def test_an_answer_of_500_is_counted_and_stops_nobody(finished: Finished) -> None:
    server, _, log = finished["users"]
    failed = [call.status for call in server.reads].count(500)
    assert failed >= 6
    assert all(200 in [call.status for call in reads[-3:]] for reads in by_user(server.reads).values())
    summary = log.split("Global Information")[1]
    requests = re.search(r"> request count +\| +(\d+) \| +(\d+) \| +(\d+)", summary)
    assert requests
    total, ok, ko = map(int, requests.groups())
    assert (total, ok, ko) == (len(server.calls), len(server.calls) - failed, failed)
    assert "found 500" in log


def test_connections_are_kept(finished: Finished) -> None:
    for server, _, _ in finished.values():
        assert len({call.connection for call in server.calls}) == len(by_user(server.logins))


def test_only_rows_of_the_sample_data_are_read(finished: Finished) -> None:
    keys = {
        kind: {line.split(",")[0] for line in (ROOT / f"gatling/data/{file}").read_text().splitlines()[1:]}
        for kind, file in (("user", "users.csv"), ("music", "music.csv"))
    }
    for server, _, _ in finished.values():
        for call in server.reads:
            _, api, version, kind, key = call.path.split("/")
            assert (api, version) == ("api", "v1")
            assert key in keys[kind]
        assert len({call.path for call in server.reads}) > len(server.reads) / 2


def test_varying_users_read_both_tables_at_varying_times(finished: Finished) -> None:
    server, _, _ = finished["both"]
    users = by_user(server.reads)
    assert len(users) == 40
    assert all(len(logins) == 1 for logins in by_user(server.logins).values())
    for reads in users.values():
        kinds = [call.path.split("/")[3] for call in reads]
        assert kinds == (["user", "music"] * len(kinds))[: len(kinds)]
        assert all(gap >= 0.99 for gap in gaps(reads))
    assert any(len(reads) > 1 for reads in users.values())
    assert any(len(reads) == 1 for reads in users.values())  # waits longer than this run lasts
    waits = [gap for reads in users.values() for gap in gaps(reads)]
    assert max(waits) - min(waits) > 1


def test_a_finished_run_names_its_report(finished: Finished) -> None:
    for _, said, log in finished.values():
        report = re.search(r"file://(\S+/index\.html)", log)
        assert report
        page = Path(report[1])
        assert page.is_file()
        assert page.is_relative_to(Path(log_of(said)).parent / "gatling")


def test_one_login_a_user_and_another_if_the_token_is_refused(scripts: Scripts) -> None:
    with FakeApi() as server:
        scripts.load(server, "2", "ReadMusicSim")
        wait_for(lambda: len(server.reads) >= 6, SLACK, "six reads")
        assert [len(logins) for logins in by_user(server.logins).values()] == [1, 1]
        with server.lock:
            server.tokens.clear()
        wait_for(lambda: len(server.logins) >= 4, 15, "both users log in again")
        before = len(server.reads)
        wait_for(lambda: len(server.reads) >= before + 4, 15, "the users go on")
        assert [call.status for call in server.reads].count(401) == 2
        assert len(server.logins) == 4
        scripts.kill()


def test_list_and_kill(scripts: Scripts) -> None:
    assert scripts.listed() == []
    with FakeApi() as server:
        said = scripts.load(server, "1", "ReadUserSim")
        environment = {"CLUSTER_IP": "127.0.0.1", "CLUSTER_PORT": str(server.port)}
        assert scripts.run("gatling-5-music.sh", **environment).returncode == 0
        wait_for(lambda: len(by_user(server.reads)) == 5, SLACK, "reads of both runs (one user is in both)")

        rows = {row[1]: row for row in scripts.listed()}
        assert set(rows) == {"ReadUserSim", "ReadMusicSim"}
        pid, _, users, day, _, place, *log = rows["ReadUserSim"]
        assert f"  pid   {pid}\n" in said
        assert " ".join(log) == log_of(said)
        assert (users, place) == ("1", f"127.0.0.1:{server.port}")
        assert day == time.strftime("%Y-%m-%d")
        assert rows["ReadMusicSim"][2] == "5"

        assert f"Ended ReadMusicSim with 5 user(s), pid {rows['ReadMusicSim'][0]}" in scripts.kill(
            "ReadMusicSim"
        )
        assert not Path(f"/proc/{rows['ReadMusicSim'][0]}/cmdline").exists() or is_zombie(
            rows["ReadMusicSim"][0]
        )
        assert [row[1] for row in scripts.listed()] == ["ReadUserSim"]
        before = len(server.reads)
        wait_for(lambda: len(server.reads) >= before + 2, 15, "the other run goes on")
        assert scripts.kill("ReadMusicSim") == "No load of ReadMusicSim runs.\n"
        assert "Ended ReadUserSim with 1 user(s)" in scripts.kill()
        before = len(server.reads)
        time.sleep(2)
        assert len(server.reads) == before
    assert scripts.kill() == "No load runs.\n"


def is_zombie(pid: str) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")


def test_kill_ends_only_what_the_scripts_started(scripts: Scripts, tmp_path: Path) -> None:
    """A run has the program, the log's place and a group of its own; it ends even if it ignores SIGTERM."""
    name = "gatling-ReadUserSim-1-20260101-120000.log"
    scripts.run("tools/list-gatling.sh")  # makes the folder
    own, other = f"-Dproj756.log={scripts.logs / name}", f"-Dproj756.log={tmp_path / name}"
    sleep = 'trap "" TERM; read -r -t 120 _ <>"$0"'  # a builtin: no child that would stay
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def process(program: str, marker: str, group: int | None) -> subprocess.Popen[bytes]:
        arguments = [program, "-c", sleep, str(pipe), marker]
        return subprocess.Popen(arguments, executable=shutil.which("bash"), process_group=group)

    ours = process("java", own, 0)
    others = [process("java", other, 0), process("tail", own, 0), process("java", own, None)]
    try:
        wait_for(scripts.listed, 10, "the run is listed")
        assert [row[0] for row in scripts.listed()] == [str(ours.pid)]
        environment = {**os.environ, "GATLING_LOGS": str(scripts.logs)}
        ended = subprocess.Popen([str(ROOT / "tools/kill-gatling.sh")], env=environment)
        assert ours.wait(30) == -signal.SIGKILL
        assert ended.wait(10) == 0
        assert all(process.poll() is None for process in others)
    finally:
        for started in (ours, *others):
            started.kill()
            started.wait(5)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "Usage: tools/gatling.sh USERS SIM [SECONDS]"),
        (("1", "ReadUserSim", "5", "6"), 2, "Usage: tools/gatling.sh USERS SIM [SECONDS]"),
        (("0", "ReadUserSim"), 1, "gatling.sh: USERS is '0': it must be a whole number from 1 to 9999"),
        (("-1", "ReadUserSim"), 1, "USERS is '-1'"),
        (("many", "ReadUserSim"), 1, "USERS is 'many'"),
        (
            ("1", "ReadNothing"),
            1,
            "gatling.sh: no simulation 'ReadNothing'; there are: ReadBothVaryingSim ReadMusicSim ReadUserSim",
        ),
        (("1", "ReadSim"), 1, "no simulation 'ReadSim'"),
        (("1", "ReadUserSim", "0"), 1, "SECONDS is '0'"),
    ],
)
def test_bad_arguments(scripts: Scripts, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = scripts.run("tools/gatling.sh", *arguments, CLUSTER_IP="127.0.0.1", CLUSTER_PORT="9")
    assert result.returncode == code
    assert says in result.stderr
    assert code == 2 or len(result.stderr.splitlines()) == 1


def test_bad_places(scripts: Scripts) -> None:
    with FakeApi() as server:
        port = str(server.port)
    result = scripts.run("tools/gatling.sh", "1", "ReadUserSim", CLUSTER_IP="127.0.0.1", CLUSTER_PORT=port)
    assert result.returncode == 1
    assert f"nothing answers at 127.0.0.1 port {port}" in result.stderr
    result = scripts.run("tools/gatling.sh", "1", "ReadUserSim", CLUSTER_IP="127.0.0.1", CLUSTER_PORT="65536")
    assert result.returncode == 1
    assert "'65536' is no port" in result.stderr
    assert scripts.run("tools/kill-gatling.sh", "Nothing").returncode == 1


def test_bad_java(scripts: Scripts, tmp_path: Path) -> None:
    result = scripts.run("tools/gatling.sh", "1", "ReadUserSim", JAVA_HOME=str(tmp_path))
    assert result.returncode == 1
    assert f"no '{tmp_path}/bin/java': install a JDK, 17 or newer" in result.stderr
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    result = scripts.run("tools/gatling.sh", "1", "ReadUserSim", JAVA_HOME=str(tmp_path))
    assert result.returncode == 1
    assert "is Java 11: install a JDK, 17 or newer" in result.stderr


@pytest.fixture
def copy(prepared: None, tmp_path: Path) -> Iterator[Scripts]:
    """A checkout of its own in a folder with a space in its name, with the compiled simulations."""
    root = tmp_path / "a copy"
    for folder in ("tools", "gatling"):
        (root / folder).mkdir(parents=True)
    for file in ROOT.glob("tools/*gatling.sh"):
        shutil.copy2(file, root / "tools")
    for name in ("pom.xml", "runs.sh"):
        shutil.copy2(ROOT / "gatling" / name, root / "gatling")
    for name in ("src", "data", "target"):
        shutil.copytree(ROOT / "gatling" / name, root / "gatling" / name, copy_function=os.link)
    copy = Scripts(root, root / "logs")
    yield copy
    copy.kill()


def test_the_place_in_use_is_asked_for(copy: Scripts) -> None:
    result = copy.run("tools/gatling.sh", "1", "ReadUserSim")
    assert result.returncode == 1
    assert "no tools/getip.sh: set CLUSTER_IP" in result.stderr
    getip = copy.root / "tools/getip.sh"
    with FakeApi() as server:
        getip.write_text(f"#!/bin/sh\necho 127.0.0.1 {server.port}\n")
        getip.chmod(0o755)
        started = copy.run("tools/gatling.sh", "1", "ReadUserSim")
        assert started.returncode == 0, started.stderr
        assert f"sends load to 127.0.0.1:{server.port} until it is ended" in started.stdout
        wait_for(lambda: server.reads, SLACK, "a read")
        copy.kill()
    getip.write_text("#!/bin/sh\nexit 1\n")
    result = copy.run("tools/gatling.sh", "1", "ReadUserSim")
    assert result.returncode == 1
    assert "tools/getip.sh found no place" in result.stderr


def test_an_edited_simulation_is_compiled_again(copy: Scripts, tmp_path: Path) -> None:
    source = copy.root / "gatling/src/test/java/proj756/ReadUserSim.java"
    text = source.read_text()
    source.unlink()  # it is a link to the project's own
    source.write_text(text.replace("public final class", "public final classs"))
    broken = copy.run("tools/gatling.sh", "prepare")
    assert broken.returncode == 1
    assert "ReadUserSim.java" in broken.stderr
    assert "could not be compiled" in broken.stderr
    source.write_text(text)

    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if program.name != "mvn" and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    without = copy.run("tools/gatling.sh", "prepare", PATH=str(programs))
    assert without.returncode == 1
    assert "no 'mvn': install Maven" in without.stderr

    assert copy.run("tools/gatling.sh", "prepare").stdout == "Compiling the simulations\n"
    assert copy.run("tools/gatling.sh", "prepare").stdout == ""
