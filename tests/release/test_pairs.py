import math
import random

import pytest

from tools.release.evidence import Tally
from tools.release.pairs import LIMIT, Answers, compare_failures, compare_latencies, quantile

BOUNDS = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, math.inf]


@pytest.fixture
def generator() -> random.Random:
    return random.Random(3)


def test_as_many_pairs_as_both_have_answers(generator: random.Random) -> None:
    got = compare_failures(Answers(20, 0), Answers(0, 30), generator)
    assert got == Tally(20, 0, 0)
    assert compare_failures(Answers(20, 5), Answers(), generator) == Tally()
    assert compare_failures(Answers(10**6), Answers(10**6), generator).pairs == LIMIT


def test_pairs_in_which_both_fail_count_for_nobody(generator: random.Random) -> None:
    assert compare_failures(Answers(0, 9), Answers(0, 9), generator) == Tally(0, 9, 0)


def test_the_net_share_is_the_difference_of_the_rates(generator: random.Random) -> None:
    total = Tally()
    for _ in range(3000):
        total += compare_failures(Answers(9, 1), Answers(14, 6), generator)
    assert total.net == pytest.approx(0.3 - 0.1, abs=0.02)


def test_a_shift_of_100_ms_is_slower_in_nearly_each_pair(generator: random.Random) -> None:
    stable, candidate = Answers(40, 0, {10.0: 20, 25.0: 20}), Answers(40, 0, {250.0: 40})
    assert compare_latencies(stable, candidate, BOUNDS, 25, generator) == Tally(40, 0, 0)
    assert compare_latencies(candidate, stable, BOUNDS, 25, generator) == Tally(0, 0, 40)


def test_neighbouring_small_buckets_are_the_same(generator: random.Random) -> None:
    stable, candidate = Answers(50, 0, {5.0: 50}), Answers(50, 0, {25.0: 50})
    assert compare_latencies(stable, candidate, BOUNDS, 25, generator) == Tally(0, 50, 0)


def test_identical_versions_have_no_net_share(generator: random.Random) -> None:
    total = Tally()
    for _ in range(2000):
        answers = Answers(20, 0, {10.0: 8, 50.0: 6, 100.0: 4, math.inf: 2})
        total += compare_latencies(answers, answers, BOUNDS, 25, generator)
    assert abs(total.net) < 0.01
    assert total.worse > 1000


def test_the_last_bucket_has_its_lower_bound(generator: random.Random) -> None:
    one = Answers(1, 0, {math.inf: 1})
    other = Answers(1, 0, {5.0: 1})
    assert compare_latencies(other, one, BOUNDS, 240, generator) == Tally(1, 0, 0)
    assert compare_latencies(other, one, BOUNDS, 251, generator) == Tally(0, 1, 0)


def test_quantiles_are_those_of_prometheus() -> None:
    latencies = {10.0: 50, 25.0: 50}
    assert quantile(0.5, latencies, BOUNDS) == pytest.approx(10)
    assert quantile(0.75, latencies, BOUNDS) == pytest.approx(17.5)
    assert quantile(0.99, {math.inf: 3}, BOUNDS) == 250
    assert quantile(0.5, {}, BOUNDS) is None


def test_answers_add_up() -> None:
    got = Answers(3, 1, {5.0: 2, 10.0: 1}) + Answers(2, 0, {10.0: 2})
    assert got == Answers(5, 1, {5.0: 2, 10.0: 3})
    assert got.total == 6
