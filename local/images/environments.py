"""Virtual environments for images: one for each set of pinned requirements, shared by its images."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

_LINK = "venv"
_LOG_LINES = 25


class InstallError(Exception):
    """pip or venv failed; the text ends with what they said last."""


class Environments:
    """Environments in one folder, made once each.

    FOLDER/KEY/venv is a link, set when the environment is complete: who sees it sees all of it.
    The scripts in an environment name its path, so that it is made where it stays and not moved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def key(requirements: str) -> str:
        """Return the key of the environment for these requirements, with this Python on this platform."""
        identity = [sys.version, sysconfig.get_platform(), sys.base_prefix, requirements]
        return hashlib.sha256("\0".join(identity).encode()).hexdigest()[:32]

    def path(self, key: str) -> Path:
        """Return an environment's folder, whether it is there or not."""
        return self._folder / key / _LINK

    def ensure(self, requirements: str, tell: Callable[[str], None]) -> str:
        """Make the environment where it is missing and return its key; `tell` hears what takes long.

        Raises InstallError. Others that want the same one at the same time wait for it.
        """
        key = self.key(requirements)
        home = self._folder / key
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home):
            if not (home / _LINK / "bin").is_dir():
                tell(
                    f"installing packages with pip (log: {home / 'pip.log'})"
                    if requirements
                    else "making venv"
                )
                self._make(home, requirements)
        return key

    def _make(self, home: Path, requirements: str) -> None:
        for left in home.iterdir():  # An interrupted build's rest; the lock says that nobody works on it.
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
        folder = home / uuid.uuid4().hex[:8]
        file = home / "requirements.txt"
        file.write_text(requirements, encoding="utf-8")
        try:
            _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], home / "venv.log")
            if requirements:
                pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
                options = ["--no-input", "--disable-pip-version-check", "--require-hashes"]
                _run([*pip, "install", *options, "-r", str(file)], home / "pip.log")
            link = home / f".{_LINK}.new"
            link.unlink(missing_ok=True)
            link.symlink_to(folder.name)
            link.replace(home / _LINK)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def site_packages(environment: Path) -> Path:
    """Return where the environment's modules are."""
    return environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _run(argv: list[str], log: Path) -> None:
    with log.open("wb") as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        raise InstallError("\n".join([f"{' '.join(argv[1:4])} … ended with {done.returncode}:", *lines]))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
