"""Builds an image from a Dockerfile: its files as a snapshot, its packages as a virtual environment."""

import os
import posixpath
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.images import dockerfile, run
from local.images.context import BuildContext, ContextError
from local.images.dockerfile import DockerfileError, Instruction
from local.images.environments import Environments, InstallError
from local.images.image import DEFAULT_PATH, Image, ImageConfig
from local.images.reference import ImageReference
from local.images.store import ImageNotFoundError, ImageStore

_WITHOUT_EFFECT = frozenset(
    {"USER", "EXPOSE", "LABEL", "MAINTAINER", "STOPSIGNAL", "HEALTHCHECK", "SHELL", "VOLUME"}
)
"""Instructions about what a process on this machine has not, or that Kubernetes does not read either."""

_SYSTEM = frozenset(
    ("/", "/bin", "/etc", "/home", "/lib", "/opt", "/srv", "/tmp", "/usr", "/usr/local", "/var")  # noqa: S108
)
"""Folders that a machine has as well: only what an image puts into them is the image's."""

_SYSTEM_PREFIX = "/usr/local"
"""Where pip installs to in an image of Python without a virtual environment."""

_NESTED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)\b", re.MULTILINE)


@dataclass
class _Packages:
    kind: str
    requirements: list[str] = field(default_factory=list)


@dataclass
class _Stage:
    """A stage while it is built: its files, its configuration and its folders of packages."""

    rootfs: Path
    config: ImageConfig = field(default_factory=lambda: ImageConfig(env={"PATH": DEFAULT_PATH}))
    args: dict[str, str] = field(default_factory=dict)
    packages: dict[str, _Packages] = field(default_factory=dict)

    def path(self, text: str) -> str:
        """Return an absolute path of the image, as seen from WORKDIR."""
        return posixpath.normpath(posixpath.join(self.config.workdir, text))

    def file(self, path: str) -> Path:
        """Return where a path of the image is in the snapshot."""
        return self.rootfs / path.lstrip("/")

    @property
    def variables(self) -> dict[str, str]:
        """What $NAME may stand for: ENV wins over ARG."""
        return {**self.args, **self.config.env}


class Builder:
    """Builds images into a store (what `docker build` is to containers)."""

    def __init__(self, images: ImageStore, environments: Environments, tell: Callable[[str], None]) -> None:
        """Make one; `tell` hears of each step as it begins."""
        self._images = images
        self._environments = environments
        self._tell = tell

    def build(
        self, file: Path, context: Path, reference: ImageReference, build_args: Mapping[str, str]
    ) -> Image:
        """Build `file` with the files of `context`, and give the image its tag.

        Raises DockerfileError (the text names file and line), OSError. A build that fails changes nothing.
        """
        shown = Path(os.path.relpath(file)) if file.is_absolute() else file
        instructions = dockerfile.read(file, shown)
        staging = self._images.staging()
        try:
            stage = _Build(
                instructions, BuildContext(context, file), staging, build_args, self._images, self._tell
            ).execute()
            return self._store(stage, instructions[-1], reference)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _store(self, stage: _Stage, last: Instruction, reference: ImageReference) -> Image:
        filled = {path: found for path, found in stage.packages.items() if found.requirements}
        texts = {"\n".join(found.requirements) for found in filled.values()}
        if len(texts) > 1:
            raise last.error(f"packages in more than one folder ({', '.join(filled)}): install them into one")
        try:
            key = self._environments.ensure(texts.pop() if texts else "", self._tell)
        except InstallError as error:
            raise last.error(str(error)) from error
        config = stage.config
        config.packages = {path: found.kind for path, found in sorted(stage.packages.items())}
        config.roots = sorted({*config.roots, *config.packages} - _SYSTEM)
        config.requirements = key
        return self._images.put(reference, stage.rootfs, config)


class _Build:
    """One run through a Dockerfile's instructions."""

    def __init__(  # noqa: PLR0917
        self,
        instructions: list[Instruction],
        context: BuildContext,
        staging: Path,
        build_args: Mapping[str, str],
        images: ImageStore,
        tell: Callable[[str], None],
    ) -> None:
        self._instructions = instructions
        self._context = context
        self._staging = staging
        self._build_args = build_args
        self._images = images
        self._tell = tell
        self._global_args: dict[str, str] = {}
        self._used_args: set[str] = set()
        self._stages: list[_Stage] = []
        self._names: dict[str, _Stage] = {}

    def execute(self) -> _Stage:
        """Execute all instructions and return the last stage."""
        actions: dict[str, Callable[[_Stage, Instruction], None]] = {
            "ENV": self._env,
            "WORKDIR": self._workdir,
            "COPY": self._copy,
            "ADD": self._add,
            "RUN": self._run,
            "CMD": self._cmd,
            "ENTRYPOINT": self._entrypoint,
        }
        total = len(self._instructions)
        for number, instruction in enumerate(self._instructions, 1):
            self._tell(f"[{number}/{total}] {instruction.name} {instruction.value}")
            if instruction.name == "FROM":
                self._from(instruction)
            elif instruction.name == "ARG":
                self._arg(instruction)
            elif not self._stages:
                raise instruction.error("stands before FROM")
            elif instruction.name in actions:
                actions[instruction.name](self._stages[-1], instruction)
            elif instruction.name not in _WITHOUT_EFFECT:
                raise instruction.error("this instruction is not supported here")
        unknown = sorted(set(self._build_args) - self._used_args)
        if unknown:
            self._tell(f"[Warning] One or more build-args {unknown} were not consumed")
        return self._stages[-1]

    def _arg(self, instruction: Instruction) -> None:
        stage = self._stages[-1] if self._stages else None
        known = self._global_args if stage is None else stage.args
        defaults = dockerfile.pairs(instruction, self._global_args if stage is None else stage.variables)
        for word in instruction.words():
            name = word.partition("=")[0]
            if name in self._build_args:
                self._used_args.add(name)
                known[name] = self._build_args[name]
            elif name in defaults:
                known[name] = defaults[name]
            elif stage is not None and name in self._global_args:
                known[name] = self._global_args[name]

    def _from(self, instruction: Instruction) -> None:
        words = [dockerfile.expand(word, self._global_args) for word in instruction.words()]
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS") or not words[0]:
            raise instruction.error("not of the form FROM IMAGE [AS NAME]")
        rootfs = self._staging / str(len(self._stages))
        stage = self._begin(instruction, words[0], rootfs)
        stage.rootfs.mkdir(exist_ok=True)
        self._stages.append(stage)
        if len(words) == 3:
            self._names[words[2]] = stage

    def _begin(self, instruction: Instruction, base: str, rootfs: Path) -> _Stage:
        if base in self._names:
            return _copy_of(self._names[base], rootfs)
        if base == "scratch":
            return _Stage(rootfs)
        name = base.partition("@")[0].rpartition("/")[2]
        if "python" in name:
            self._tell(f"this machine's Python {sys.version.split()[0]} stands in for {base}")
            return _Stage(rootfs)
        try:
            image = self._images.copy(base, rootfs)
        except (ImageNotFoundError, ValueError) as error:
            raise instruction.error(
                f"{base}: not an image of Python, scratch, an earlier stage or an image built here"
            ) from error
        if image.config.packages:
            raise instruction.error(f"{base}: a base with installed packages is not supported here")
        return _Stage(rootfs, image.config)

    @staticmethod
    def _env(stage: _Stage, instruction: Instruction) -> None:
        stage.config.env.update(dockerfile.pairs(instruction, stage.variables))

    @staticmethod
    def _workdir(stage: _Stage, instruction: Instruction) -> None:
        path = stage.path(dockerfile.expand(instruction.value, stage.variables))
        stage.config.workdir = path
        stage.file(path).mkdir(parents=True, exist_ok=True)
        if path not in _SYSTEM:
            stage.config.roots.append(path)

    @staticmethod
    def _cmd(stage: _Stage, instruction: Instruction) -> None:
        stage.config.cmd = instruction.command()

    @staticmethod
    def _entrypoint(stage: _Stage, instruction: Instruction) -> None:
        stage.config.entrypoint = instruction.command()
        stage.config.cmd = []  # As Docker does: a base's CMD was meant for the base's ENTRYPOINT.

    def _add(self, stage: _Stage, instruction: Instruction) -> None:
        if any("://" in word or re.search(r"\.(tar|tgz|zip)", word) for word in instruction.words()[:-1]):
            raise instruction.error("only files and folders of the build context can be added here: use COPY")
        self._copy(stage, instruction)

    def _copy(self, stage: _Stage, instruction: Instruction) -> None:
        unknown = set(instruction.flags) - {"from", "chown", "link"}
        if unknown:
            raise instruction.error(f"--{', --'.join(sorted(unknown))}: not supported here")
        words = [dockerfile.expand(word, stage.variables) for word in instruction.words()]
        if len(words) < 2:
            raise instruction.error("a source and a destination are required")
        target = stage.path(words[-1])
        if "from" in instruction.flags:
            source = self._source(instruction)
            pairs = self._copy_from_stage(stage, source, words[:-1], target, instruction)
        else:
            try:
                pairs = [(found, found.name) for word in words[:-1] for found in self._context.sources(word)]
            except ContextError as error:
                raise instruction.error(str(error)) from error
        into = words[-1].endswith(("/", "/.")) or words[-1] == "." or stage.file(target).is_dir()
        if len(pairs) > 1 and not into:
            raise instruction.error(
                f"{words[-1]!r}: with more than one source the destination must end with /"
            )
        for path, name in pairs:
            to = target if path.is_dir() or not into else posixpath.join(target, name)
            try:
                self._context.copy(path, stage.file(to)) if "from" not in instruction.flags else _copy_tree(
                    path, stage.file(to)
                )
            except ContextError as error:
                raise instruction.error(str(error)) from error
            stage.config.roots += _roots(stage, path, target, to)

    def _source(self, instruction: Instruction) -> _Stage:
        name = instruction.flags["from"]
        if name in self._names:
            return self._names[name]
        if name.isdecimal() and int(name) < len(self._stages) - 1:
            return self._stages[int(name)]
        raise instruction.error(f"--from={name}: no earlier stage has that name")

    @staticmethod
    def _copy_from_stage(
        stage: _Stage, source: _Stage, words: list[str], target: str, instruction: Instruction
    ) -> list[tuple[Path, str]]:
        """Take over folders of packages, and return the sources that are files or folders of that stage."""
        rest = []
        for word in words:
            path = posixpath.normpath(posixpath.join("/", word))
            found = {
                folder: packages
                for folder, packages in source.packages.items()
                if folder == path or folder.startswith(path.rstrip("/") + "/")
            }
            for folder, packages in found.items():
                stage.packages[
                    posixpath.normpath(posixpath.join(target, posixpath.relpath(folder, path)))
                ] = packages
            if source.file(path).exists():
                rest.append((source.file(path), posixpath.basename(path)))
            elif not found:
                raise instruction.error(f"{word!r}: not in that stage")
        return rest

    def _run(self, stage: _Stage, instruction: Instruction) -> None:
        for step in run.steps(instruction):
            if isinstance(step, run.MakeEnvironment):
                stage.packages[self._expanded(stage, step.folder)] = _Packages("prefix")
            elif isinstance(step, run.MakeFolder):
                stage.file(self._expanded(stage, step.folder)).mkdir(parents=True, exist_ok=True)
            else:
                self._install(stage, instruction, step)

    def _install(self, stage: _Stage, instruction: Instruction, step: run.InstallPackages) -> None:
        folder = self._expanded(stage, step.folder) if step.folder else self._pip_prefix(stage, step.program)
        packages = stage.packages.setdefault(folder, _Packages(step.kind))
        for name in step.files:
            path = self._expanded(stage, name)
            if not stage.file(path).is_file():
                raise instruction.error(
                    f"pip install -r {name}: the stage has no file {path}: COPY it before"
                )
            text = stage.file(path).read_text(encoding="utf-8")
            if _NESTED.search(text):
                raise instruction.error(
                    f"pip install -r {name}: a file that names others (-r, -c) is not supported"
                )
            packages.requirements.append(text)

    @staticmethod
    def _expanded(stage: _Stage, text: str) -> str:
        return stage.path(dockerfile.expand(text, stage.variables))

    @staticmethod
    def _pip_prefix(stage: _Stage, program: str) -> str:
        """Return where this pip installs to: its own virtual environment, that of PIP_PYTHON or of PATH."""
        env = stage.config.env
        named = [posixpath.dirname(text) for text in (program, env.get("PIP_PYTHON", "")) if "/" in text]
        for folder in [*named, *env.get("PATH", "").split(":")]:
            if posixpath.dirname(folder) in stage.packages:
                return posixpath.dirname(folder)
        return _SYSTEM_PREFIX


def _roots(stage: _Stage, source: Path, target: str, to: str) -> list[str]:
    """Return the paths that became the image's own by copying `source`."""
    if any(to == root or to.startswith(root.rstrip("/") + "/") for root in stage.config.roots):
        return []
    if source.is_dir():
        return (
            [target] if target not in _SYSTEM else [posixpath.join(target, e.name) for e in source.iterdir()]
        )
    folder = posixpath.dirname(to)
    return [folder] if folder not in _SYSTEM else [to]


def _copy_tree(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _copy_of(stage: _Stage, rootfs: Path) -> _Stage:
    shutil.copytree(stage.rootfs, rootfs, symlinks=True)
    packages = {path: _Packages(p.kind, list(p.requirements)) for path, p in stage.packages.items()}
    return _Stage(rootfs, ImageConfig.from_json(stage.config.to_json()), {}, packages)


__all__ = ["Builder", "DockerfileError"]
