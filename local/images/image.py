"""An image: its files, and how its program is started (the OCI image configuration)."""

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH in an image that sets none."""


@dataclass
class ImageConfig:
    """What a Dockerfile says besides files."""

    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    workdir: str = "/"
    roots: list[str] = field(default_factory=list)
    """The image's own paths: what stands under one of them is in the snapshot and not on the machine."""
    packages: dict[str, str] = field(default_factory=dict)
    """Folders of Python packages: path in the image -> "prefix" (bin, lib …) or "site" (modules)."""
    requirements: str = ""
    """Key of the virtual environment that stands in for those folders."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ImageConfig":
        """Return what `to_json` gave."""
        return cls(**data)


@dataclass(frozen=True)
class Image:
    """A snapshot that a tag points to."""

    reference: str
    digest: str
    """sha256:… of the content: equal for equal files and configuration, whenever they were built."""
    config: ImageConfig
    rootfs: Path | None
    """The snapshot's files; None for the image of the machine itself."""


def _entries(folder: Path) -> list[Path]:
    found = []
    for where, folders, files in os.walk(folder):
        found += [Path(where, name) for name in (*folders, *files)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def content_digest(rootfs: Path, config: ImageConfig) -> str:
    """Return the digest of paths, executable bits, contents and configuration; no times, no owners."""
    total = hashlib.sha256(json.dumps(config.to_json(), sort_keys=True).encode())
    for path in _entries(rootfs):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            kind, content = "link", str(path.readlink()).encode()
        elif stat.S_ISDIR(mode):
            kind, content = "folder", b""
        else:
            kind, content = "program" if mode & stat.S_IXUSR else "file", path.read_bytes()
        entry = [kind, path.relative_to(rootfs).as_posix(), hashlib.sha256(content).hexdigest()]
        total.update(json.dumps(entry).encode())
    return f"sha256:{total.hexdigest()}"
