"""Notes of the processes that run, so that a later start can end what a killed daemon left behind."""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

_KILL_SECONDS = 5.0


class ProcessRecords:
    """A file for each process group: its name is the group's id, its text the leader's start time."""

    def __init__(self, folder: Path, pods: Path) -> None:
        """Keep the notes in `folder`; `pods` is where the HOME of each such process lies."""
        self._folder = folder
        self._pods = pods

    def add(self, pid: int) -> None:
        """Note a process that has just been started as the leader of its group."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            started = psutil.Process(pid).create_time()
            (self._folder / str(pid)).write_text(str(started), encoding="utf-8")

    def remove(self, pid: int) -> None:
        """Forget a process whose group has ended."""
        (self._folder / str(pid)).unlink(missing_ok=True)

    def kill_orphans(self) -> list[int]:
        """Kill the noted groups that still run and return their ids; a number that is another's now stays."""
        killed = []
        for note in sorted(self._folder.glob("*")) if self._folder.is_dir() else []:
            group, started = int(note.name), float(note.read_text(encoding="utf-8") or 0)
            members = self._members(group, started)
            for member in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.send_signal(signal.SIGKILL)  # psutil checks that the number is still this process
            _wait(members)
            if members:
                killed.append(group)
            note.unlink(missing_ok=True)
        return killed

    def _members(self, group: int, started: float) -> list[psutil.Process]:
        """Return the group's processes: its leader, if the start time is right, and those of a pod's HOME."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) != group:
                    continue
                leader = process.pid == group
                home = Path(process.environ().get("HOME") or "/")
                if home.is_relative_to(self._pods) and (
                    not leader or abs(process.create_time() - started) < 1
                ):
                    found.append(process)
        return found


def _wait(processes: list[psutil.Process]) -> None:
    """Wait until killed processes hold nothing any more; whoever adopted them reaps them when it likes."""
    deadline = time.monotonic() + _KILL_SECONDS
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
                time.sleep(0.01)
