"""RUN instructions: the few that have a meaning, or none, where an image is a snapshot and not a file system.

python3 -m venv DIR            a folder of packages (of a virtual environment) begins at DIR
pip install --require-hashes   the packages of a pinned requirements file
mkdir, install -d              folders of the image
useradd, groupadd, adduser, addgroup, chown, python -m compileall
                               without effect: the image runs as the one who runs the mesh
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from local.images.dockerfile import Instruction

_WITHOUT_EFFECT = frozenset({"useradd", "groupadd", "adduser", "addgroup", "chown", "true"})
_PYTHON = re.compile(r"(?:.*/)?python(?:3(?:\.\d+)?)?")
_PIP = re.compile(r"(?:.*/)?pip(?:3(?:\.\d+)?)?")
_PIP_FLAGS = frozenset(
    {
        "--no-cache-dir",
        "--require-hashes",
        "--disable-pip-version-check",
        "--no-compile",
        "--compile",
        "--no-deps",
        "--no-input",
        "--no-warn-script-location",
        "--break-system-packages",
        "--quiet",
        "-q",
    }
)
_PIP_VALUES = frozenset({"--root-user-action", "--only-binary", "--timeout", "--retries", "--progress-bar"})


@dataclass(frozen=True)
class MakeEnvironment:
    """`python -m venv DIR`."""

    folder: str


@dataclass(frozen=True)
class MakeFolder:
    """`mkdir DIR`."""

    folder: str


@dataclass(frozen=True)
class InstallPackages:
    """`pip install --require-hashes -r FILE …`; `folder` is what --target or --prefix names."""

    files: tuple[str, ...]
    folder: str | None
    kind: str
    """`site` for --target (modules only), otherwise `prefix`."""
    program: str
    """The program that was called: that of a virtual environment installs into it."""


Step = MakeEnvironment | MakeFolder | InstallPackages


def steps(instruction: Instruction) -> list[Step]:
    """Return what a RUN instruction does. Raises DockerfileError for a command that cannot be run here."""
    for name, value in instruction.flags.items():
        if name != "mount" or not value.startswith("type=cache"):
            raise instruction.error(f"--{name}={value}: only --mount=type=cache is known here")
    words = instruction.json()
    commands = [words] if words is not None else _commands(instruction)
    found: list[Step] = []
    for command in commands:
        found += _step(instruction, command)
    return found


def _commands(instruction: Instruction) -> list[list[str]]:
    lexer = shlex.shlex(instruction.value, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    try:
        for token in lexer:
            if token in ("&&", ";"):
                commands.append([])
            elif token and set(token) <= set("();<>|&"):
                raise instruction.error(f"{token!r}: only commands joined by && can be run here")
            else:
                commands[-1].append(token)
    except ValueError as error:
        raise instruction.error(str(error)) from error
    return [command for command in commands if command]


def _step(instruction: Instruction, command: list[str]) -> list[Step]:
    program, arguments = command[0], command[1:]
    if _PYTHON.fullmatch(program) and arguments[:1] == ["-m"] and len(arguments) > 1:
        module, arguments = arguments[1], arguments[2:]
        if module == "venv":
            return [MakeEnvironment(_folders(arguments)[-1])] if _folders(arguments) else []
        if module == "compileall":
            return []
        if module == "pip":
            return [_install(instruction, program, arguments)]
    if _PIP.fullmatch(program):
        return [_install(instruction, program, arguments)]
    if program == "mkdir" or command[:2] == ["install", "-d"]:
        return [MakeFolder(folder) for folder in _folders(arguments)]
    if program == "set" or PurePosixPath(program).name in _WITHOUT_EFFECT:
        return []
    raise instruction.error(
        f"{shlex.join(command)!r} cannot be run here: this machine has no container to run it in. "
        "What can be: python -m venv, pip install --require-hashes -r FILE, mkdir, useradd, groupadd, chown"
    )


def _folders(arguments: list[str]) -> list[str]:
    """Return the arguments that are no options (and no values of the options -m, -o, -g)."""
    folders = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("-m", "-o", "-g"):
            skip = True
        elif not argument.startswith("-"):
            folders.append(argument)
    return folders


def _install(instruction: Instruction, program: str, arguments: list[str]) -> InstallPackages:
    if arguments[:1] != ["install"]:
        raise instruction.error(f"'pip {' '.join(arguments)}' cannot be run here: only pip install")
    files: list[str] = []
    folder, kind = None, "prefix"
    rest = iter(arguments[1:])
    hashes = False
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in _PIP_FLAGS:
            hashes |= argument == "--require-hashes"
            continue
        if name in _PIP_VALUES:
            value = value if equals else next(rest, "")
            continue
        if name in ("-r", "--requirement"):
            files.append(value if equals else next(rest, ""))
        elif name in ("-t", "--target", "--prefix"):
            folder = value if equals else next(rest, "")
            kind = "prefix" if name == "--prefix" else "site"
        else:
            raise instruction.error(
                f"pip install {argument!r} is not known here: pin it in a requirements file"
            )
    if not files:
        raise instruction.error("pip install: -r FILE is required")
    if not hashes:
        raise instruction.error(
            "pip install: --require-hashes is required, so that an image is what was pinned"
        )
    return InstallPackages(tuple(files), folder, kind, program)
