from tools.release.counters import Counters, Increment
from tools.release.prometheus import Series


def series(
    samples: list[tuple[float, float]], version: str = "v2", code: str = "200", **labels: str
) -> Series:
    return Series({"destination_version": version, "response_code": code, "pod": "p", **labels}, samples)


def total(increments: list[Increment]) -> float:
    return sum(sum(increment.by.values()) for increment in increments)


def begun(*found: Series) -> Counters:
    counters = Counters()
    counters.take(found, {}, count=False)
    return counters


def test_what_was_before_does_not_count() -> None:
    counters = begun(series([(0, 100), (5, 120)]))
    assert total(counters.take([series([(0, 100), (5, 120), (10, 130)])], {})) == 10
    assert total(counters.take([series([(5, 120), (10, 130)])], {})) == 0


def test_a_series_that_begins_later_counts_from_nothing() -> None:
    """The first failures: increase() of Prometheus would miss them."""
    counters = begun(series([(0, 100)]))
    found = [series([(0, 100), (5, 110)]), series([(5, 3)], code="500")]
    got = counters.take(found, {})
    assert {(one.labels["response_code"], sum(one.by.values())) for one in got} == {("200", 10), ("500", 3)}


def test_a_sidecar_that_is_new_begins_with_its_first_sample() -> None:
    counters = begun(series([(0, 100)]))
    assert total(counters.take([series([(5, 900), (10, 905)], pod="q")], {})) == 5


def test_a_restart_counts_from_nothing() -> None:
    counters = begun(series([(0, 100)]))
    assert total(counters.take([series([(5, 110), (10, 4), (15, 9)])], {})) == 10 + 4 + 5


def test_missing_scrapes_lose_nothing() -> None:
    counters = begun(series([(0, 100)]))
    assert counters.take([], {}) == []
    assert total(counters.take([series([(35, 160)])], {})) == 60


def test_samples_after_the_end_wait() -> None:
    counters = begun(series([(0, 100)]))
    found = [series([(0, 100), (5, 110), (10, 130)])]
    assert total(counters.take(found, {"v2": 7})) == 10
    assert total(counters.take(found, {"v2": 12})) == 20


def test_a_histogram_is_one_set_and_restarts_as_one() -> None:
    def buckets(at: float, low: float, high: float) -> list[Series]:
        return [series([(at, low)], le="10"), series([(at, high)], le="+Inf")]

    counters = begun(*buckets(0, 50, 60))
    (got,) = counters.take(buckets(5, 55, 70), {})
    assert got.by == {"10": 5, "+Inf": 10}
    # After a restart the low bucket has more than before, and only the high one shows that it was one.
    (got,) = counters.take(buckets(10, 58, 58), {})
    assert got.by == {"10": 58, "+Inf": 58}
