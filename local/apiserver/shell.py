"""What makes a shell of this machine look like one in the container.

Processes have no file system of their own here: the working folder is a folder of this machine, and only its
name is shown as the image's /code.
"""

import os
import shlex
import shutil
from pathlib import Path

from local.apiserver.runner import ExecEnvironment

_CODE = "/code"


def check(program: str, environment: ExecEnvironment) -> None:
    """Raise FileNotFoundError, in a container runtime's words, where the container has no such program."""
    if "/" in program:
        path = environment.cwd / program
        found = path.is_file() and os.access(path, os.X_OK)
        missing = f'exec: "{program}": stat {program}: no such file or directory'
    else:
        found = shutil.which(program, path=environment.env.get("PATH", os.defpath)) is not None
        missing = f'exec: "{program}": executable file not found in $PATH'
    if not found:
        raise FileNotFoundError(f"unable to start container process: {missing}")


def environment(container: ExecEnvironment, *, terminal: bool) -> dict[str, str]:
    """Return the variables of a command; for a terminal, with a prompt as in the container."""
    env = dict(container.env)
    if terminal:
        env.setdefault("TERM", "xterm")
        _write_startup_file(container)
    return env


def _write_startup_file(container: ExecEnvironment) -> None:
    """Write HOME/.bashrc: bash reads it after /etc/bash.bashrc, which sets a prompt of its own."""
    home = container.env.get("HOME")
    if not home:
        return
    text = (
        "# The container's working folder is shown by the name that it has in the image.\n"
        f"C756_CODE={shlex.quote(str(container.cwd))}\n"
        f"HOSTNAME={shlex.quote(container.env.get('HOSTNAME', 'pod'))}\n"
        "unset PROMPT_COMMAND\n"
        f"PS1='${{HOSTNAME}}:${{PWD/#\"$C756_CODE\"/{_CODE}}}$ '\n"
    )
    folder = Path(home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".bashrc").write_text(text)
