"""Commands that run beside a container: exec probes and exec hooks."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_OUTPUT_LIMIT = 10_240


class CommandTimeoutError(Exception):
    """The command took too long and was killed."""


async def run_command(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> tuple[int, str]:
    """Return the exit code and the first part of the output of a command.

    Raises CommandTimeoutError after `timeout` seconds, OSError where it cannot be run. Nothing of it is left.
    """
    # A file and not a pipe: a child that the command leaves behind would hold a pipe open.
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        try:
            code = await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            raise CommandTimeoutError(f"command timed out: {argv[0]!r} after {timeout:g}s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        output.seek(0)
        return code, output.read(_OUTPUT_LIMIT).decode(errors="replace")
