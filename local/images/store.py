"""The images of this machine: snapshots by digest, and a link for each tag.

    IMAGES/.snapshots/DIGEST/image.json    configuration
    IMAGES/.snapshots/DIGEST/rootfs/       files
    IMAGES/NAME/TAG                        link to a snapshot, replaced in one step

Writers hold the folder's lock alone, readers hold it together: no snapshot goes while it is copied.
"""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from local.images.image import Image, ImageConfig, content_digest
from local.images.reference import ImageReference

MACHINE_IMAGE = "c756.local/machine:latest"
"""An image with nothing of its own: its programs are this machine's."""

_CONFIG = "image.json"


class ImageNotFoundError(LookupError):
    """No image has that name and tag."""


class ImageStore:
    """Snapshots of images in one folder, shared by the builder and the kubelet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._snapshots = folder / ".snapshots"

    def find(self, text: str) -> Image:
        """Return the image of a name and tag. Raises ValueError (no such name can be), ImageNotFoundError."""
        if text == MACHINE_IMAGE:
            return Image(text, f"sha256:{0:064x}", ImageConfig(), None)
        reference = ImageReference.parse(text)
        return self._read(reference, self._tag(reference))

    def exists(self, text: str) -> bool:
        """Tell whether there is an image of that name and tag. Raises ValueError."""
        return text == MACHINE_IMAGE or self._tag(ImageReference.parse(text)).is_dir()

    def copy(self, text: str, rootfs: Path) -> Image:
        """Return an image and copy its files to `rootfs`. Raises ValueError, ImageNotFoundError, OSError.

        The copy is made whole or not at all, and stays as it is when the tag is built again.
        """
        with self._locked(fcntl.LOCK_SH):
            image = self.find(text)
            if image.rootfs is None:
                rootfs.mkdir(parents=True, exist_ok=True)
                return image
            part = rootfs.with_name(f".{rootfs.name}.{uuid.uuid4().hex}")
            try:
                shutil.copytree(image.rootfs, part, symlinks=True)
                part.rename(rootfs)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            return image

    def staging(self) -> Path:
        """Return a new empty folder on the images' file system, for a build."""
        folder = self._folder / f".build-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def put(self, reference: ImageReference, rootfs: Path, config: ImageConfig) -> Image:
        """Take over the files of `rootfs` as an image and let its tag point to them from now on."""
        digest = content_digest(rootfs, config)
        with self._locked(fcntl.LOCK_EX):
            snapshot = self._snapshots / digest.removeprefix("sha256:")
            if not snapshot.is_dir():
                part = self._snapshots / f".{uuid.uuid4().hex}"
                part.mkdir(parents=True)
                rootfs.rename(part / "rootfs")
                (part / _CONFIG).write_text(json.dumps(config.to_json(), indent=2), encoding="utf-8")
                part.rename(snapshot)
            tag = self._tag(reference)
            tag.parent.mkdir(parents=True, exist_ok=True)
            new = tag.with_name(f".{tag.name}.new")
            new.unlink(missing_ok=True)
            new.symlink_to(os.path.relpath(snapshot, tag.parent))
            new.replace(tag)
            self._prune()
            return self._read(reference, tag)

    def remove(self, text: str) -> None:
        """Remove a tag, and its snapshot where no other tag has it. Raises ValueError, ImageNotFoundError."""
        reference = ImageReference.parse(text)
        with self._locked(fcntl.LOCK_EX):
            tag = self._tag(reference)
            if not tag.is_symlink():
                raise ImageNotFoundError(f"No such image: {reference}")
            tag.unlink()
            with contextlib.suppress(OSError):
                tag.parent.rmdir()
            self._prune()

    def tags(self) -> list[tuple[str, str, str]]:
        """Return (name as a folder, tag, digest) of all images."""
        return [(tag.parent.name, tag.name, f"sha256:{tag.readlink().name}") for tag in sorted(self._links())]

    def _tag(self, reference: ImageReference) -> Path:
        return self._folder / reference.folder / reference.tag

    def _links(self) -> list[Path]:
        return [tag for tag in self._folder.glob("[!.]*/[!.]*") if tag.is_symlink()]

    @staticmethod
    def _read(reference: ImageReference, tag: Path) -> Image:
        try:
            snapshot = tag.resolve(strict=True)
            config = ImageConfig.from_json(json.loads((snapshot / _CONFIG).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ImageNotFoundError(f"No such image: {reference}") from None
        return Image(str(reference), f"sha256:{snapshot.name}", config, snapshot / "rootfs")

    def _prune(self) -> None:
        used = {tag.readlink().name for tag in self._links()}
        for snapshot in self._snapshots.iterdir():
            if snapshot.name not in used:
                shutil.rmtree(snapshot)

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self._snapshots.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._snapshots, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)
