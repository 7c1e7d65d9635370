"""A child process in a process group of its own, that dies with this one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path


class ManagedProcess:
    """One running program: its output goes to a file, and the whole group is ended together."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, argv: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> "ManagedProcess":
        """Start `argv` with `log` (appended) as stdout and stderr; raises OSError where it cannot be run.

        setpriv asks the kernel to kill the program if this process is killed and cannot tidy up.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                "setpriv",
                "--pdeathsig=KILL",
                "--",
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until the program has ended, kill what is left of its group, and return its exit status."""
        code = await self._process.wait()
        self._signal_group(signal.SIGKILL)
        return code

    def terminate(self) -> None:
        """Ask the program (not its whole group) to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End the whole group at once."""
        self._signal_group(signal.SIGKILL)

    async def stop(self, grace: float) -> int:
        """Ask to end, and after `grace` seconds kill; return the exit status."""
        self.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self.kill()
        return await self.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
