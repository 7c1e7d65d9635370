"""Commands that may hang, fail or be absent."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Mapping

_NEVER_ASK = {
    "AWS_PAGER": "",
    "AWS_MAX_ATTEMPTS": "2",
    "AZURE_CORE_ONLY_SHOW_ERRORS": "true",
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
}


class CommandError(Exception):
    """A command that is missing or that failed; the text is one line."""


async def output(*command: str, environ: Mapping[str, str] | None = None, may_fail: bool = False) -> str:
    """Return what a command prints; raises CommandError with what it says is wrong.

    Nothing of it is left running where this is cancelled: its whole process group is killed. With `may_fail`
    its exit status is of no interest.
    """
    if shutil.which(command[0]) is None:
        raise CommandError(f"the command '{command[0]}' is missing")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **_NEVER_ASK, **(environ or {})},
        start_new_session=True,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if process.returncode and not may_fail:
        raise CommandError(_reason(err.decode(errors="replace")) or f"exit status {process.returncode}")
    return out.decode(errors="replace")


async def answer(*command: str) -> object:
    """Return the JSON that a command prints (None for nothing); raises CommandError."""
    text = await output(*command)
    try:
        return json.loads(text) if text.strip() else None
    except ValueError as error:
        raise CommandError(f"'{' '.join(command[:3])}' did not print JSON") from error


def _reason(text: str) -> str:
    """Return the first line that says "error", or else the first one at all; at most 160 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")[:160]
