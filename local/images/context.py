"""The build context: the files that COPY may take, without those that .dockerignore excludes."""

import os
import shutil
from pathlib import Path

from docker.utils.build import PatternMatcher  # type: ignore[import-untyped]


class ContextError(Exception):
    """A source of COPY that the context does not have, or that leads out of it."""


class BuildContext:
    """A folder as `docker build` would send it."""

    def __init__(self, folder: Path, dockerfile: Path) -> None:
        """Read the exclusions: DOCKERFILE.dockerignore where there is one, else .dockerignore."""
        self.folder = folder.resolve()
        own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
        ignore = own if own.is_file() else self.folder / ".dockerignore"
        lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
        self._excluded = PatternMatcher([line for line in lines if line.strip() and not line.startswith("#")])

    def sources(self, pattern: str) -> list[Path]:
        """Return the files and folders that a COPY source names. Raises ContextError."""
        plain = os.path.normpath(pattern.lstrip("/")) if pattern.strip("/") else "."
        if plain.split("/")[0] == "..":
            raise ContextError(f"{pattern!r} leads out of the build context")
        if any(letter in plain for letter in "*?["):
            found = sorted(path for path in self.folder.glob(plain) if not self._is_excluded(path))
        else:
            found = [self.folder / plain] if (self.folder / plain).exists() else []
            found = [path for path in found if path.is_dir() or not self._is_excluded(path)]
        if not found:
            raise ContextError(f"{pattern!r}: not found in the build context, or excluded by .dockerignore")
        return found

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file, or what a folder holds, to `target`. Raises ContextError, OSError."""
        if source.is_dir() and not source.is_symlink():
            self._copy_folder(source, target)
        else:
            self._copy_file(source, target)

    def _copy_folder(self, source: Path, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for where, folders, files in os.walk(source):
            here = Path(where)
            links = [name for name in folders if (here / name).is_symlink()]
            folders[:] = [
                name
                for name in folders
                if name not in links and not self._is_excluded(here / name, whole=True)
            ]
            for name in [*files, *links]:
                if not self._is_excluded(here / name):
                    self._copy_file(here / name, target / here.relative_to(source) / name)
            if not self._is_excluded(here) or here == source:
                (target / here.relative_to(source)).mkdir(parents=True, exist_ok=True)

    def _copy_file(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if source.is_symlink():
            if not source.resolve().is_relative_to(self.folder) or source.readlink().is_absolute():
                relative = source.relative_to(self.folder)
                raise ContextError(f"{str(relative)!r}: a link that leads out of the build context")
            target.symlink_to(source.readlink())
        else:
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)

    def _is_excluded(self, path: Path, *, whole: bool = False) -> bool:
        """Tell whether .dockerignore excludes a path; `whole`: with everything that a folder holds."""
        relative = path.relative_to(self.folder).as_posix()
        if relative == "." or not self._excluded.matches(relative):
            return False
        again = any(p.exclusion and p.cleaned_pattern.startswith(relative) for p in self._excluded.patterns)
        return not (whole and again)
