"""A cluster and a Prometheus in memory, and a clock that does not wait, for whole releases within milliseconds."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from tools.release.cluster import ClusterError, ConflictError, NotFoundError, Object
from tools.release.plan import Plan
from tools.release.prometheus import PrometheusError, Series

BOUNDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "+Inf")
ORIGIN = {
    "hosts": ["*"],
    "gateways": ["c756-gateway"],
    "http": [
        {
            "name": "music",
            "match": [{"uri": {"prefix": "/api/v1/music"}}],
            "route": [{"destination": {"host": "cmpt756s2", "subset": "v1", "port": {"number": 30001}}}],
            "timeout": "10s",
        }
    ],
}


def merge(target: Any, changes: Any) -> Any:
    """JSON merge patch (RFC 7396)."""
    if not isinstance(changes, dict):
        return changes
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


class FakeCluster:
    """Objects by kind and name, with the API server's rules about resourceVersion."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.version = 0
        self.down = False
        self.ready = {"v1": 1, "v2": 1}
        self.before_write: Callable[[str], None] = lambda kind: None
        self._store("virtualservice", {"metadata": {"name": "cmpt756s2"}, "spec": copy.deepcopy(ORIGIN)})

    def _check(self) -> None:
        if self.down:
            raise ClusterError("the connection to the server was refused")

    def _store(self, kind: str, obj: Object) -> Object:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.objects[kind, obj["metadata"]["name"]] = obj
        return copy.deepcopy(obj)

    def _current(self, kind: str, name: str) -> Object:
        if (kind, name) not in self.objects:
            raise NotFoundError(f'{kind} "{name}" not found')
        return self.objects[kind, name]

    def get(self, kind: str, name: str) -> Object:
        self._check()
        return copy.deepcopy(self._current(kind, name))

    def select(self, kind: str, labels: str) -> list[Object]:
        self._check()
        assert kind == "deployments"
        return [{"status": {"readyReplicas": self.ready[labels.rsplit("=", 1)[1]]}}]

    def create(self, obj: Object) -> Object:
        self._check()
        kind = obj["kind"].lower()
        self.before_write(kind)
        if (kind, obj["metadata"]["name"]) in self.objects:
            raise ConflictError("already exists")
        return self._store(kind, copy.deepcopy(obj))

    def patch(self, kind: str, name: str, changes: Object) -> Object:
        self._check()
        self.before_write(kind)
        current = self._current(kind, name)
        if changes["metadata"].get("resourceVersion") != current["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified")
        return self._store(kind, merge(current, json.loads(json.dumps(changes))))

    def replace(self, obj: Object) -> Object:
        self._check()
        kind = obj.get("kind", "virtualservice").lower()
        self.before_write(kind)
        current = self._current(kind, obj["metadata"]["name"])
        if obj["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified")
        return self._store(kind, copy.deepcopy(obj))

    # --- what tests look at ---------------------------------------------------------------------------
    @property
    def virtual_service(self) -> Object:
        return self.objects["virtualservice", "cmpt756s2"]

    def edit(self, change: Callable[[Object], None]) -> None:
        """Change the VirtualService as somebody else."""
        obj = copy.deepcopy(self.virtual_service)
        change(obj)
        self._store("virtualservice", obj)

    @property
    def weight(self) -> int:
        """The candidate's share of the users, as the rules say."""
        route = self.virtual_service["spec"]["http"][-1]["route"]
        if len(route) == 1:
            return 100 if route[0]["destination"]["subset"] == "v2" else 0
        return next(piece["weight"] for piece in route if piece["destination"]["subset"] == "v2")

    @property
    def copies(self) -> dict[str, float]:
        """Copies in percent of the reads, by version."""
        mirrors = self.virtual_service["spec"]["http"][0].get("mirrors", [])
        return {piece["destination"]["subset"]: piece["percentage"]["value"] for piece in mirrors}


class Version:
    """How a version answers; may be changed during a release."""

    def __init__(self, failures: float = 0.0, milliseconds: float = 12.0) -> None:
        self.failures = failures
        self.milliseconds = milliseconds
        self.is_there = True
        self.counts: dict[str, float] = {}
        self.buckets: dict[str, float] = {}
        self.user_counts: dict[str, float] = {}


class World:
    """A clock, a cluster, load on both versions as the rules say, and a Prometheus that scrapes every 5 s."""

    def __init__(self, plan: Plan, rate: float = 4.8) -> None:
        self.now = 1000.0
        self.plan = plan
        self.rate = rate
        self.cluster = FakeCluster()
        self.v1, self.v2 = Version(), Version()
        self.at: list[tuple[float, Callable[[], None]]] = []
        self.reason = ""
        self.prometheus_is_down = False
        self.scrapes_fail = False
        self._generator = random.Random(7)
        self._samples: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        self._scraped = self.now
        self._serve(100)  # a life before the release
        self._scrape()

    # --- time ------------------------------------------------------------------------------------------
    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> str:
        """Let time go by, in steps of a second; what is planned for a moment happens then."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            piece = min(1.0, end - self.now)
            self.now += piece
            for planned in [one for one in self.at if one[0] <= self.now]:
                self.at.remove(planned)
                planned[1]()
            self._serve(piece)
            if self.now - self._scraped >= self.plan.interval:
                self._scrape()
        return self.reason

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at.append((self.now + seconds, action))

    # --- load ------------------------------------------------------------------------------------------
    def _answer(self, version: Version, users: bool) -> None:
        if not version.is_there:
            return
        failed = self._generator.random() < version.failures
        code = "500" if failed else "200"
        version.counts[code] = version.counts.get(code, 0) + 1
        if users:
            version.user_counts[code] = version.user_counts.get(code, 0) + 1
        if not failed:
            took = version.milliseconds * self._generator.lognormvariate(0, 0.4)
            for bound in BOUNDS:
                if took <= float(bound):
                    version.buckets[bound] = version.buckets.get(bound, 0) + 1

    def _serve(self, seconds: float) -> None:
        weight, copies = self.cluster.weight, self.cluster.copies
        expected = self.rate * seconds
        count = int(expected) + (self._generator.random() < expected % 1)
        for _ in range(count):
            to_v2 = self._generator.random() * 100 < weight
            self._answer(self.v2 if to_v2 else self.v1, users=True)
            for name, version in (("v1", self.v1), ("v2", self.v2)):
                if self._generator.random() * 100 < copies.get(name, 0):
                    self._answer(version, users=False)

    # --- Prometheus --------------------------------------------------------------------------------------
    def _keep(self, value: float, at: float, **labels: str) -> None:
        self._samples.setdefault(tuple(sorted(labels.items())), []).append((at, value))

    def _scrape(self) -> None:
        self._scraped = self.now
        if self.scrapes_fail:
            return
        for offset, (name, version) in enumerate((("v1", self.v1), ("v2", self.v2))):
            if not version.is_there:
                continue
            at = self.now - 0.5 * offset
            common = {"destination_version": name, "pod": f"pod-{name}"}
            received = {"reporter": "destination", "source_workload": "istio-ingressgateway", **common}
            for code, count in version.counts.items():
                self._keep(count, at, __name__="istio_requests_total", response_code=code, **received)
            # Prometheus' own scrapes of the application fail: nobody is to care.
            from_outside = {**received, "source_workload": "unknown", "source_principal": "unknown"}
            self._keep(self.now, at, __name__="istio_requests_total", response_code="503", **from_outside)
            for bound in BOUNDS:
                self._keep(
                    version.buckets.get(bound, 0),
                    at,
                    __name__="istio_request_duration_milliseconds_bucket",
                    response_code="200",
                    le=bound,
                    **received,
                )
            sent = {"reporter": "source", "destination_version": name, "pod": "gateway"}
            for code, count in version.user_counts.items():
                self._keep(count, self.now, __name__="istio_requests_total", response_code=code, **sent)

    def samples(self, selector: str, seconds: float) -> list[Series]:
        if self.prometheus_is_down:
            raise PrometheusError("http://prometheus does not answer")
        name, _, rest = selector.partition("{")
        reporter = "source" if 'reporter="source"' in rest else "destination"
        found = []
        for identity, samples in self._samples.items():
            labels = dict(identity)
            recent = [sample for sample in samples if sample[0] > self.now - seconds]
            if labels["__name__"] == name and labels["reporter"] == reporter and recent:
                found.append(Series(labels, recent))
        return found
