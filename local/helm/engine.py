"""A connection of the Helm engine, and its long actions such that Ctrl-C ends them."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import helm_python
import yaml

from local.settings import Settings

T = TypeVar("T")


class ConnectionProblem(Exception):  # noqa: N818 - what the person reads, not what failed
    """There is no cluster to speak to; the text says what to do."""


@dataclass(frozen=True)
class Connection:
    """Which cluster and which namespace a command is about."""

    kubeconfig: str | None
    context: str | None
    namespace: str | None

    def space(self) -> str:
        """Return the namespace: the option's, else the context's, else default."""
        return self.namespace or _context_namespace(self._path(), self.context) or "default"

    @contextlib.contextmanager
    def open(self) -> Iterator[helm_python.Config]:
        """Yield the engine's connection; raises ConnectionProblem where there is no kubeconfig."""
        path = self._path()
        # The engine takes one file; a list of them (as kubectl knows) is left to its own resolution.
        single = path if path is not None and os.pathsep not in path else None
        with helm_python.Config(
            kubeconfig_path=single, kube_context=self.context, namespace=self.space()
        ) as config:
            yield config

    def _path(self) -> str | None:
        path = self.kubeconfig or os.environ.get("KUBECONFIG")
        if path:
            return path
        mesh = Settings().kubeconfig
        if not mesh.is_file():
            raise ConnectionProblem("the one-machine mesh does not run: make up")
        return str(mesh)


def _context_namespace(path: str | None, context: str | None) -> str | None:
    for part in (path or "").split(os.pathsep):
        if not part or not Path(part).is_file():
            continue
        config = yaml.safe_load(Path(part).read_text(encoding="utf-8")) or {}
        wanted = context or config.get("current-context")
        for found in config.get("contexts") or []:
            if found.get("name") == wanted:
                namespace = (found.get("context") or {}).get("namespace")
                return str(namespace) if namespace else None
    return None


@contextlib.contextmanager
def offline() -> Iterator[helm_python.Config]:
    """Yield a connection to nothing, for what only renders."""
    empty = "apiVersion: v1\nkind: Config\n"
    with helm_python.Config(kubeconfig_content=empty, storage_driver="memory") as config:
        yield config


def cancellable(action: Callable[[helm_python.HelmContext], T]) -> T:
    """Run a long action in a thread, so that KeyboardInterrupt cancels it and waits for its end."""
    context = helm_python.HelmContext()
    outcome: dict[str, Any] = {}

    def work() -> None:
        try:
            outcome["result"] = action(context)
        except helm_python.HelmError as error:
            outcome["error"] = error

    thread = threading.Thread(target=work)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        context.cancel()
        thread.join()
        raise
    if "error" in outcome:
        raise outcome["error"]
    result: T = outcome["result"]
    return result
