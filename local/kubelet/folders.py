"""Where a pod's files are, and what the paths of an image are called on this machine.

A process here has no mount namespace: a container's files are a folder, and the image's paths in its command,
arguments and environment are replaced by the real ones.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.kinds import Object
from local.settings import Settings


class PodFolder:
    """The files of one pod."""

    def __init__(self, settings: Settings, pod: Object) -> None:
        meta = pod["metadata"]
        self.path = settings.pods / f"{meta['namespace']}_{meta['name']}"

    @property
    def tmp(self) -> Path:
        """TMPDIR of the pod's containers."""
        return self.path / "tmp"

    def volume(self, name: str) -> Path:
        """Return the folder of a volume."""
        return self.path / "volumes" / name

    def container(self, name: str) -> "ContainerFolder":
        """Return the folder of a container."""
        return ContainerFolder(self.path / name)


@dataclass(frozen=True)
class ContainerFolder:
    """The files of one container."""

    path: Path

    @property
    def rootfs(self) -> Path:
        """The image's files: this container's own."""
        return self.path / "rootfs"

    @property
    def home(self) -> Path:
        """HOME."""
        return self.path / "home"

    def log(self, restart: int) -> Path:
        """Return the log of the container's run after that many restarts."""
        return self.path / f"{restart}.log"


class PathMap:
    """Paths as the image knows them, and where they are on this machine."""

    def __init__(self, real: Mapping[str, Path]) -> None:
        self._real = dict(real)
        longest_first = sorted(self._real, key=len, reverse=True)
        names = "|".join(re.escape(path) for path in longest_first)
        self._pattern = re.compile(rf"(?<![^\s=:,;'\"])(?:{names})(?=$|[/\s:,;'\"])") if names else None

    def translate(self, text: str) -> str:
        """Return `text` with the image's paths, alone or in lists, replaced by those of this machine."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: str(self._real[match[0]]), text)

    def real(self, path: str) -> Path:
        """Return where an absolute path of the image is; one that is not the image's is the machine's."""
        return Path(self.translate(path))

    def knows(self, path: str) -> bool:
        """Tell whether `path` is one of the mapped paths itself."""
        return path in self._real
