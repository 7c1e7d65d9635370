"""The statistics: bounds that hold exactly, and power where it is needed."""

import itertools
import math
import random

import pytest

from tools.release.evidence import STAKES, Harm, Tally, Unharmed

STEPS = 7


def tally(pairs: list[int]) -> Tally:
    return Tally(pairs.count(1), pairs.count(0), pairs.count(-1))


@pytest.mark.parametrize("tolerance", [0.0, 0.005, 0.05, 0.3])
@pytest.mark.parametrize("better", [0.0, 0.02, 0.3])
def test_capital_does_not_grow_on_average_at_the_border_of_the_hypothesis(
    tolerance: float, better: float
) -> None:
    """Summed over all sequences of 6 pairs with E[D] = tolerance, so exactly, not by simulation."""
    worse = better + tolerance
    chances = {1: worse, 0: 1 - worse - better, -1: better}
    harm, unharmed = Harm(tolerance, STEPS), Unharmed(tolerance)
    for evidence, splits in ((harm, [[6], [2, 4], [1, 1, 4]]), (unharmed, [[6]])):
        for split in splits:
            mean = 0.0
            for pairs in itertools.product((1, 0, -1), repeat=6):
                ends = [0, *itertools.accumulate(split)]
                tallies = [tally(list(pairs[a:b])) for a, b in itertools.pairwise(ends)]
                chance = math.prod(chances[pair] for pair in pairs)
                mean += chance * math.exp(evidence.log_evidence(tallies))
            assert mean == pytest.approx(1.0, abs=1e-9)


def test_capital_shrinks_on_average_within_the_hypothesis() -> None:
    harm = Harm(0.05, 1)
    mean = sum(
        chance * math.exp(harm.log_evidence([tally([pair])]))
        for pair, chance in ((1, 0.02), (0, 0.96), (-1, 0.02))
    )
    assert mean < 1


def test_evidence_is_the_product_of_single_bets() -> None:
    pairs = [1, 0, 0, -1, 1, 1, 0, 1]
    largest = 1 / 1.1
    wanted = sum(math.prod(1 + s * largest * (d - 0.1) for d in pairs) for s in STAKES) / len(STAKES)
    assert math.exp(Harm(0.1, 1).log_evidence([tally(pairs)])) == pytest.approx(wanted)


def test_no_pairs_are_no_evidence() -> None:
    assert Harm(0.005, STEPS).log_evidence([Tally()]) == pytest.approx(0)
    assert Unharmed(0.05).log_evidence([Tally()]) == pytest.approx(0)


def test_all_looks_together_keep_the_false_alarm_rate() -> None:
    """Looks after each pair, where 5 % of looks once would be far more than 5 % of looks each time."""
    generator = random.Random(1)
    alarms = fixed = 0
    for _ in range(2000):
        harm, seen = Harm(0.0, 1), Tally()
        alarmed = fooled = False
        for _ in range(300):
            d = generator.choice((1, 0, 0, 0, -1))
            seen += tally([d])
            alarmed = alarmed or harm.log_evidence([seen]) >= math.log(20)
            discordant = seen.worse + seen.better
            fooled = fooled or (discordant > 10 and seen.worse - seen.better > 1.645 * math.sqrt(discordant))
        alarms += alarmed
        fixed += fooled
    assert alarms <= 0.05 * 2000
    assert fixed > 0.15 * 2000  # a test for one look, looked at each time


def test_harm_that_begins_late_is_not_drowned() -> None:
    quiet = [Tally(0, 3000, 0), Tally(0, 300, 0)]
    late = Tally(20, 80, 0)
    with_starts = Harm(0.02, STEPS).log_evidence([*quiet, late])
    from_the_beginning = Harm(0.02, 1).log_evidence([quiet[0] + quiet[1] + late])
    assert with_starts > math.log(200) > from_the_beginning


def test_large_numbers_do_not_overflow() -> None:
    assert Harm(0.005, STEPS).log_evidence([Tally(10**6, 0, 0)]) > 1e5
    assert math.isfinite(Harm(0.005, STEPS).log_evidence([Tally(0, 0, 10**7)] * STEPS))
    assert Unharmed(0.05).log_evidence([Tally(0, 10**7, 0)]) > 1e5


@pytest.mark.parametrize("limit", [-1, 1, 1.5])
def test_a_limit_must_be_a_share(limit: float) -> None:
    with pytest.raises(ValueError, match="limit is"):
        Unharmed(limit)


def test_more_tallies_than_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="8 tallies, but the plan has 7 steps"):
        Harm(0.0, STEPS).log_evidence([Tally()] * 8)
