"""What counters have counted since one last looked: restarts, late scrapes and new series included.

Unlike Prometheus' increase() nothing is extrapolated, and a series that begins during the release, such as the
first failures, counts from its first sample on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tools.release.prometheus import Series

Identity = tuple[tuple[str, str], ...]
Vector = dict[str, float]


@dataclass
class _Cell:
    """A set of counters that one sidecar reports together: a counter, or a histogram's buckets by `le`."""

    labels: dict[str, str]
    last: Vector = field(default_factory=dict)
    at: float = float("-inf")


@dataclass(frozen=True)
class Increment:
    """What a set of counters has grown by, from one scrape to the next; `at` in seconds since 1970."""

    labels: dict[str, str]
    at: float
    by: Vector


def pod(labels: dict[str, str]) -> str:
    """Return which sidecar a series is of."""
    return labels.get("pod") or labels.get("instance", "")


class Counters:
    """Remembers where each counter stood."""

    def __init__(self) -> None:
        self._cells: dict[Identity, _Cell] = {}
        self._first_seen: dict[str, float] = {}

    def take(
        self, found: Iterable[Series], until: dict[str, float], *, count: bool = True
    ) -> list[Increment]:
        """Return what has been counted since the last call.

        Args:
            found: raw samples of some time; what was taken before is skipped.
            until: the time up to which samples are taken, by `destination_version`; others: all.
            count: False takes them as what was there before.
        """
        increments = []
        for identity, labels, scrapes in _by_cell(found):
            end = until.get(labels.get("destination_version", ""), float("inf"))
            cell = self._cells.get(identity)
            for at, vector in scrapes:
                if at > end:
                    break
                source = pod(labels)
                began = self._first_seen.setdefault(source, at)
                if cell is None:
                    # A sidecar that was scraped before and did not have this series had counted nothing.
                    cell = self._cells[identity] = _Cell(labels)
                    if not count or began >= at:
                        cell.last, cell.at = vector, at
                        continue
                if at <= cell.at:
                    continue
                reset = any(vector.get(key, 0) < value for key, value in cell.last.items())
                base: Vector = {} if reset else cell.last
                by = {key: value - base.get(key, 0) for key, value in vector.items()}
                cell.last, cell.at = vector, at
                if count and any(by.values()):
                    increments.append(Increment(cell.labels, at, by))
        return increments


def _by_cell(
    found: Iterable[Series],
) -> Iterator[tuple[Identity, dict[str, str], list[tuple[float, Vector]]]]:
    """Put a histogram's series together; each scrape has all of its buckets."""
    cells: dict[Identity, tuple[dict[str, str], dict[float, Vector]]] = {}
    for series in found:
        labels = {key: value for key, value in series.labels.items() if key != "le"}
        identity = tuple(sorted(labels.items()))
        _, scrapes = cells.setdefault(identity, (labels, {}))
        for at, value in series.samples:
            scrapes.setdefault(at, {})[series.labels.get("le", "")] = value
    for identity, (labels, scrapes) in cells.items():
        yield identity, labels, sorted(scrapes.items())
