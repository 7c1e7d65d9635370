"""The VirtualService of a release, and the release's record in its annotations.

The record is written in the same update as the rules, so that the two never contradict each other: whoever
finds it after a crash knows how it was before.
"""

import json
from dataclasses import asdict, dataclass

from tools.release.cluster import Cluster, Object
from tools.release.plan import Plan
from tools.release.routing import Spec, digest, released

_RECORD = "c756/release"
_ORIGIN = "c756/release-origin"


class ChangedError(Exception):
    """Somebody else has changed the VirtualService during a release."""


@dataclass(frozen=True)
class Record:
    """A release that runs, or was left: who, since when, the candidate's weight, the digest of its rules."""

    release: str
    holder: str
    started: str
    candidate: str
    weight: int
    digest: str


class Routing:
    """Sets the candidate's share in the VirtualService of a plan."""

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._object: Object = {}
        self._origin: Spec = {}
        self._written = ""

    def read(self) -> Record | None:
        """Read the VirtualService; return the record of an unfinished release. Raises ClusterError."""
        self._object = self._cluster.get("virtualservice", self._plan.service)
        notes = self._object["metadata"].get("annotations") or {}
        self._origin = self._object["spec"]
        if _RECORD not in notes:
            return None
        self._origin = json.loads(notes[_ORIGIN])
        record = Record(**json.loads(notes[_RECORD]))
        self._written = record.digest
        return record

    @property
    def is_as_written(self) -> bool:
        """Whether the rules that were read are those that the record speaks of."""
        return digest(self._object["spec"]) == self._written

    def check(self) -> None:
        """Raise RoutingError unless a release can begin with what was read."""
        released(self._origin, self._plan, 0, mirrored=True)

    def look(self) -> None:
        """Read again. Raises ChangedError if somebody else has changed the rules, ClusterError."""
        self._object = self._cluster.get("virtualservice", self._plan.service)
        if not self.is_as_written:
            raise ChangedError(
                f"somebody else has changed the VirtualService {self._plan.service}: the traffic stays as they set it"
            )

    def set_weight(self, weight: int, release: str, holder: str, started: str) -> None:
        """Give the candidate `weight` percent, with copies, and record it. Raises ConflictError, ClusterError."""
        spec = released(self._origin, self._plan, weight, mirrored=True)
        record = Record(release, holder, started, self._plan.candidate, weight, digest(spec))
        notes = {_RECORD: json.dumps(asdict(record)), _ORIGIN: json.dumps(self._origin)}
        self._write(spec, notes)

    def promote(self) -> None:
        """Give the candidate everything, without copies or record. Raises ConflictError, ClusterError."""
        self._write(released(self._origin, self._plan, 100, mirrored=False), {})

    def restore(self) -> None:
        """Put back the rules from before the release. Raises ConflictError, ClusterError."""
        self._write(self._origin, {})

    def forget(self) -> None:
        """Remove the record and leave the rules as they are. Raises ConflictError, ClusterError."""
        self._write(self._object["spec"], {})

    def _write(self, spec: Spec, notes: dict[str, str]) -> None:
        # Not a replace, which would also rewrite what `kubectl apply` remembers of the operator's file.
        metadata = {
            "resourceVersion": self._object["metadata"]["resourceVersion"],
            "annotations": {name: notes.get(name) for name in (_RECORD, _ORIGIN)},
        }
        self._object = self._cluster.patch(
            "virtualservice", self._plan.service, {"metadata": metadata, "spec": spec}
        )
        self._written = digest(spec)
