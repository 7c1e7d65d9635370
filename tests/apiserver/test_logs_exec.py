"""kubectl logs, exec and cp against real files and real processes."""

import os
import pty
import re
import select
import subprocess
import time

import psutil
import pytest

from .conftest import KUBECTL, SECONDS, running_pod


@pytest.fixture
def pod(api, ns):
    running_pod(api, ns, f"{ns}-web", ("app", "side"))
    return f"{ns}-web"


def write_log(api, pod, text, name="app.log", mode="w"):
    path = api.runner.folder / pod / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        file.write(text)


def test_logs_tail_previous_container(api, ns, pod):
    write_log(api, pod, "".join(f"line {i}\n" for i in range(20_000)))
    write_log(api, pod, "before\n", "app.previous.log")
    assert api.kubectl("logs", pod, "-c", "app", "--tail=2", namespace=ns) == "line 19998\nline 19999\n"
    assert api.kubectl("logs", pod, "-c", "app", "--tail=0", namespace=ns) == ""
    assert len(api.kubectl("logs", pod, "-c", "app", namespace=ns).splitlines()) == 20_000
    out = api.kubectl("logs", pod, "-c", "app", "--tail=15000", namespace=ns)
    assert out.startswith("line 5000\n")
    assert api.kubectl("logs", pod, "-c", "app", "--limit-bytes=4", namespace=ns) == "line"
    assert api.kubectl("logs", pod, "-c", "app", "--previous", namespace=ns) == "before\n"
    assert api.kubectl("logs", "-l", "app=web", "-c", "app", "--tail=1", namespace=ns) == "line 19999\n"
    write_log(api, pod, "no newline at the end")
    assert api.kubectl("logs", pod, "-c", "app", "--tail=1", namespace=ns) == "no newline at the end"


def test_logs_that_are_not_there(api, ns, pod):
    error = api.kubectl("logs", pod, "-c", "side", namespace=ns, code=1)
    assert f'container "side" in pod "{pod}" is waiting to start' in error
    error = api.kubectl("logs", pod, "-c", "app", "-p", namespace=ns, code=1)
    assert f'previous terminated container "app" in pod "{pod}" not found' in error
    error = api.kubectl("logs", pod, "-c", "nope", namespace=ns, code=1)
    assert "container nope is not valid" in error
    answer = api.http("GET", f"/api/v1/namespaces/{ns}/pods/{pod}/log")
    assert answer.code == 400
    assert "choose one of: [app side]" in answer.json["message"]
    write_log(api, pod, "x\n")
    error = api.kubectl("logs", pod, "-c", "app", "--timestamps", namespace=ns, code=1)
    assert "carry no times" in error


def test_followed_logs_end_with_the_container(api, ns, pod):
    write_log(api, pod, "one\n")
    command = [str(KUBECTL), "-n", ns, "logs", "-f", pod, "-c", "app"]
    with subprocess.Popen(command, env=api.env(), stdout=subprocess.PIPE, text=True) as follow:
        assert follow.stdout.readline() == "one\n"
        write_log(api, pod, "two\n", mode="a")
        assert follow.stdout.readline() == "two\n"
        write_log(api, pod, "last words\n", mode="a")

        def end(store):
            found = store.get("Pod", ns, pod)
            found["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 0}}
            store.update(found, status=True)

        api.do(end)
        assert follow.wait(SECONDS) == 0
        assert follow.stdout.read() == "last words\n"


def test_exec_output_input_and_exit_code(api, ns, pod):
    where = ("exec", pod, "-c", "app", "--")
    assert api.kubectl(*where, "ls", namespace=ns) == "app.py\n"
    assert api.kubectl(*where, "sh", "-c", "echo $GREETING", namespace=ns) == "hello from app\n"
    error = api.kubectl(*where, "sh", "-c", "echo oops >&2; exit 7", namespace=ns, code=7)
    assert error == "oops\ncommand terminated with exit code 7\n"
    error = api.kubectl(*where, "sh", "-c", "kill -9 $$", namespace=ns, code=137)
    assert "137" in error
    error = api.kubectl(*where, "nope", namespace=ns, code=1)
    assert 'exec: "nope": executable file not found in $PATH' in error
    assert "MESH" not in api.kubectl(*where, "env", namespace=ns)


def test_exec_passes_large_input_and_its_end(api, ns, pod):
    command = ("exec", "-i", pod, "-c", "app", "--", "sh", "-c", "wc -c; echo done")
    assert api.kubectl(*command, text="x" * 3_000_000, namespace=ns).split() == ["3000000", "done"]
    out = api.kubectl("exec", pod, "-c", "app", "--", "head", "-c", "3000000", "/dev/zero", namespace=ns)
    assert len(out) == 3_000_000


def test_exec_refuses_what_does_not_run(api, ns, pod):
    error = api.kubectl("exec", pod, "-c", "nope", "--", "ls", namespace=ns, code=1)
    assert "container nope is not valid" in error or "container not found" in error

    def end(store):
        found = store.get("Pod", ns, pod)
        found["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 0}}
        store.update(found, status=True)

    api.do(end)
    error = api.kubectl("exec", pod, "-c", "app", "--", "ls", namespace=ns, code=1)
    assert "is not running" in error
    answer = api.http("POST", f"/api/v1/namespaces/{ns}/pods/{pod}/exec?container=side&command=ls")
    assert answer.code == 400
    assert "WebSocket" in answer.json["message"]


def test_copying_a_file_both_ways(api, ns, pod, tmp_path):
    (tmp_path / "note").write_text("hello\n")
    api.kubectl("cp", str(tmp_path / "note"), f"{pod}:note", "-c", "app", namespace=ns)
    api.kubectl("cp", f"{pod}:note", str(tmp_path / "back"), "-c", "app", namespace=ns)
    assert (tmp_path / "back").read_text() == "hello\n"


class Terminal:
    """kubectl on a pseudo terminal, as a person has it."""

    def __init__(self, api, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(str(KUBECTL), [str(KUBECTL), *args], {**api.env(), "TERM": "dumb"})
        self.text = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern):
        """Read until `pattern` matches what came since the last match, and return that."""
        deadline = time.monotonic() + SECONDS
        while not (match := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come: {self.text!r}"
            try:
                self.text += os.read(self.fd, 4096).decode()
            except OSError:
                raise AssertionError(f"{pattern!r} did not come before the end: {self.text!r}") from None
        seen, self.text = self.text[: match.end()], self.text[match.end() :]
        return seen

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_a_shell_in_the_container(api, ns, pod):
    terminal = Terminal(api, "-n", ns, "exec", "-it", pod, "-c", "app", "--", "bash")
    prompt = re.escape(f"{pod}:/code$ ")
    terminal.expect(prompt)
    terminal.type("ls\n")
    assert "app.py" in terminal.expect(prompt)
    terminal.type("mkdir -p deeper && cd deeper\n")
    terminal.expect(re.escape(f"{pod}:/code/deeper$ "))
    terminal.type("sleep 97531\n")
    await_sleepers(True)
    terminal.type("\x03")
    terminal.expect(r"\^C")
    terminal.type("echo code $?\n")
    terminal.expect("code 130")
    terminal.type("exit 5\n")
    terminal.expect("exit code 5")
    assert terminal.end() == 5
    await_sleepers(False)


def await_sleepers(wanted):
    """Wait until the command that the tests run is there, or is not."""
    deadline = time.monotonic() + SECONDS
    while any(p.info["cmdline"] == ["sleep", "97531"] for p in psutil.process_iter(["cmdline"])) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_that_goes_takes_its_command_with_it(api, ns, pod):
    command = [str(KUBECTL), "-n", ns, "exec", pod, "-c", "app", "--", "sleep", "97531"]
    with subprocess.Popen(command, env=api.env()) as client:
        try:
            await_sleepers(True)
        finally:
            client.kill()
    await_sleepers(False)
