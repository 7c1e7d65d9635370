"""Kubernetes objects through kubectl, with the user's own credentials: the same on a cluster and on one machine."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_KUBECTL = ROOT / "tools/kubectl"  # kubectl for the place in use

Object = dict[str, Any]


class ClusterError(Exception):
    """The cluster cannot be asked, or refuses; the text is kubectl's."""


class NotFoundError(ClusterError):
    """There is no such object."""


class ConflictError(ClusterError):
    """Somebody else has changed, or created, the object in the meantime."""


class Cluster:
    """Reads and writes whole objects of one namespace.

    Args:
        limit: seconds after which a call is given up with a ClusterError.
    """

    def __init__(self, namespace: str, limit: float = 15) -> None:
        self._namespace = namespace
        self._limit = limit

    def _kubectl(self, arguments: list[str], obj: Object | None = None) -> Object:
        command = [str(_KUBECTL), "-n", self._namespace, f"--request-timeout={self._limit:.0f}s", *arguments]
        try:
            done = subprocess.run(
                [*command, "-o", "json"],
                input="" if obj is None else json.dumps(obj),
                capture_output=True,
                text=True,
                timeout=self._limit + 5,
                check=False,
                start_new_session=True,  # Ctrl-C is for the release, which still needs its kubectl
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ClusterError(str(error)) from error
        if done.returncode == 0:
            return json.loads(done.stdout)  # type: ignore[no-any-return]
        text = done.stderr.strip() or f"kubectl ended with {done.returncode}"
        for reason, kind in (
            ("(NotFound)", NotFoundError),
            ("(Conflict)", ConflictError),
            ("(AlreadyExists)", ConflictError),
        ):
            if reason in text:
                raise kind(text)
        raise ClusterError(text)

    def get(self, kind: str, name: str) -> Object:
        """Return an object. Raises NotFoundError, ClusterError."""
        return self._kubectl(["get", kind, name])

    def select(self, kind: str, labels: str) -> list[Object]:
        """Return the objects of a kind with these labels, `a=b,c=d`. Raises ClusterError."""
        return self._kubectl(["get", kind, "-l", labels]).get("items", [])  # type: ignore[no-any-return]

    def create(self, obj: Object) -> Object:
        """Create an object that is not there. Raises ConflictError if it is, ClusterError."""
        return self._kubectl(["create", "-f", "-"], obj)

    def patch(self, kind: str, name: str, changes: Object) -> Object:
        """Apply a JSON merge patch; with a `metadata.resourceVersion` in it only if that is still the object's.

        Raises ConflictError, NotFoundError, ClusterError.
        """
        return self._kubectl(["patch", kind, name, "--type=merge", f"--patch={json.dumps(changes)}"])

    def replace(self, obj: Object) -> Object:
        """Replace an object if its resourceVersion is still the one in `obj`. Raises ConflictError, ClusterError."""
        return self._kubectl(["replace", "-f", "-"], obj)
