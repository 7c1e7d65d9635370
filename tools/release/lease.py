"""One release at a time: a Lease that its holder renews.

The protocol is that of client-go's leader election: created only if absent, replaced only with the
resourceVersion that was read, and for others to take once it has not been renewed for its duration. As there,
the age is measured on the own clock from the moment at which the record was seen to change, or, for a first
look, from its renewTime.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

import datetime
from dataclasses import dataclass

from tools.release.cluster import Cluster, ConflictError, NotFoundError, Object

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"  # Kubernetes' MicroTime


class LeaseHeldError(Exception):
    """Another release holds the lease, or has taken it; the text says which."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _age(text: str | None) -> float:
    """Return the seconds since a MicroTime; endless where there is none."""
    if not text:
        return float("inf")
    return (_now() - datetime.datetime.fromisoformat(text)).total_seconds()


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, and the seconds until it may be taken, 0 if it may be taken now."""

    name: str
    remaining: float


def holder(lease: Object) -> Holder | None:
    """Return who holds a lease, None if nobody does."""
    spec = lease.get("spec", {})
    name = spec.get("holderIdentity")
    if not name:
        return None
    return Holder(name, max(0.0, spec.get("leaseDurationSeconds", 0) - _age(spec.get("renewTime"))))


class Lease:
    """A lease, held by `identity` for `duration` seconds from each renewal on."""

    def __init__(self, cluster: Cluster, name: str, identity: str, duration: int = 30) -> None:
        self._cluster = cluster
        self._name = name
        self._identity = identity
        self.duration = duration
        self._held: Object | None = None

    def _spec(self, transitions: int, acquired: str | None = None) -> Object:
        now = _now().strftime(_FORMAT)
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self.duration,
            "acquireTime": acquired or now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def acquire(self) -> None:
        """Take the lease. Raises LeaseHeldError, ClusterError."""
        try:
            found = self._cluster.get("lease", self._name)
        except NotFoundError:
            self._held = self._create()
            return
        other = holder(found)
        if other and other.remaining > 0:
            raise LeaseHeldError(
                f"the release of {other.name} runs (Lease {self._name}); if it has crashed, its lease ends in "
                f"{other.remaining:.0f} s: wait and start again"
            )
        transitions = found.get("spec", {}).get("leaseTransitions", 0) + 1
        self._held = self._replace({**found, "spec": self._spec(transitions)})

    def _create(self) -> Object:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": self._spec(0),
        }
        try:
            return self._cluster.create(lease)
        except ConflictError as error:
            raise LeaseHeldError(f"another release has just begun (Lease {self._name})") from error

    def _replace(self, lease: Object) -> Object:
        try:
            return self._cluster.replace(lease)
        except (ConflictError, NotFoundError) as error:
            raise LeaseHeldError(
                f"another release has taken the Lease {self._name}, or deleted it"
            ) from error

    def renew(self) -> None:
        """Hold the lease for another `duration`. Raises LeaseHeldError if it was taken, ClusterError."""
        if self._held is None:
            raise LeaseHeldError(f"the Lease {self._name} is not held")
        spec = self._held["spec"]
        self._held = self._replace(
            {**self._held, "spec": self._spec(spec.get("leaseTransitions", 0), spec["acquireTime"])}
        )

    def release(self) -> None:
        """Let others have it at once. Raises LeaseHeldError, ClusterError."""
        if self._held is not None:
            spec = {**self._held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            held, self._held = self._held, None
            self._replace({**held, "spec": spec})
