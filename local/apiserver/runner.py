"""What the API server needs from whoever runs the pods (the kubelet)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local.kinds import Object


@dataclass(frozen=True)
class ExecEnvironment:
    """Where and with which variables a command in a container runs."""

    cwd: Path
    """The container's working folder on this machine: what an image calls /code."""
    env: dict[str, str]
    """The container's whole environment; HOME is a folder of the container's own, HOSTNAME the pod's name."""


class Runner(Protocol):
    """The kubelet's side of `kubectl logs` and `kubectl exec`."""

    def log_path(self, pod: Object, container: str, previous: bool) -> Path | None:
        """Return the log of the container's present run (or of the one before), None where there is none."""
        ...

    def exec_environment(self, pod: Object, container: str) -> ExecEnvironment:
        """Return what a command in the running `container` gets."""
        ...
