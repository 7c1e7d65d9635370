"""Releases by the thousand, with the very code that judges real ones: python -m tools.release.simulate.

Two kinds of answers: drawn from a model (a failure rate and a log-normal latency for each version), or real ones:
scrapes of real releases, from the JSON reports, drawn again with the versions' places exchanged at random. The
second kind keeps what no model has, such as answers that are slow together because a pod stood still; by the
exchange both versions are the same in law, so each roll-back is a false alarm.
"""

import argparse
import json
import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.release.conductor import Action, Conductor
from tools.release.judge import Judge
from tools.release.observer import Block
from tools.release.pairs import Answers, Buckets
from tools.release.plan import DEFAULT, Plan, load

BOUNDS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, math.inf]
"""Upper bounds of Istio's buckets in ms; those above 10 s are put together."""
_MEDIAN_MS, _SPREAD = 11.0, 0.45  # a read on the one-machine mesh

Draw = Callable[[float, random.Random], Block]
"""Answers of one scrape, given the time since the release began in seconds."""


@dataclass(frozen=True)
class Model:
    """A version: its share of failures (0 to 1), and what it is slower by, in ms."""

    failures: float = 0.0
    slower: float = 0.0


def _poisson(mean: float, generator: random.Random) -> int:
    """Return a Poisson number (Knuth, The Art of Computer Programming, volume 2, section 3.4.1)."""
    limit, product, count = math.exp(-mean), generator.random(), 0
    while product > limit:
        product *= generator.random()
        count += 1
    return count


def _answers(model: Model, count: int, generator: random.Random) -> Answers:
    failures = sum(generator.random() < model.failures for _ in range(count)) if model.failures else 0
    latencies: Buckets = {}
    for _ in range(count - failures):
        took = _MEDIAN_MS * math.exp(_SPREAD * generator.gauss(0, 1)) + model.slower
        bound = next(bound for bound in BOUNDS if took <= bound)
        latencies[bound] = latencies.get(bound, 0) + 1
    return Answers(count - failures, failures, latencies)


def modelled(stable: Model, candidate: Model, per_scrape: float) -> Draw:
    """Return answers of two models, `per_scrape` of each version on average."""

    def draw(_at: float, generator: random.Random) -> Block:
        counts = [_poisson(per_scrape, generator) for _ in range(2)]
        return Block(_answers(stable, counts[0], generator), _answers(candidate, counts[1], generator))

    return draw


def recorded(blocks: list[Block]) -> Draw:
    """Return real answers, with the versions exchanged at random."""

    def draw(_at: float, generator: random.Random) -> Block:
        block = generator.choice(blocks)
        return block if generator.random() < 0.5 else Block(block.candidate, block.stable)

    return draw


def release(plan: Plan, draw: Draw, seed: int) -> tuple[Action, float, str]:
    """Return how one release ends, after how many seconds, in which step."""
    generator = random.Random(seed)  # noqa: S311 (a simulation)
    judge = Judge(plan, seed)
    conductor = Conductor(plan, judge, 0.0)
    now = 0.0
    while True:
        now += plan.interval
        if now > plan.warm_up:
            block = draw(now, generator)
            judge.add_failures(block.stable, block.candidate)
            judge.add_latencies(
                block.stable,
                block.candidate,
                BOUNDS,
            )
            conductor.hear(block.stable.total, block.candidate.total, now)
        decision = conductor.decide(now)
        if decision.action is Action.STEP:
            conductor.next_step(now)
        elif decision.action is not Action.WAIT:
            return decision.action, now, conductor.step.name


def read_blocks(paths: list[Path]) -> list[Block]:
    """Return the scrapes of real releases, from reports (JSON) or lines of them (JSONL)."""

    def answers(buckets: dict[str, int]) -> Answers:
        by_bound: Buckets = {}
        for bound, count in buckets.items():
            known = next(limit for limit in BOUNDS if float(bound) <= limit)
            by_bound[known] = by_bound.get(known, 0) + count
        return Answers(successes=sum(by_bound.values()), latencies=by_bound)

    def documents() -> Iterator[dict[str, list[dict[str, dict[str, int]]]]]:
        for path in paths:
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".jsonl":
                yield from (json.loads(line) for line in text.splitlines())
            else:
                yield json.loads(text)

    return [
        Block(answers(block["stable"]), answers(block["candidate"]))
        for document in documents()
        for block in document.get("latencies", [])
    ]


CASES: dict[str, tuple[Model, Model]] = {
    "healthy": (Model(), Model()),
    "both-fail-2": (Model(0.02), Model(0.02)),
    "v1-fails-2": (Model(0.02), Model()),
    "error-50": (Model(), Model(0.5)),
    "error-10": (Model(), Model(0.1)),
    "error-5": (Model(), Model(0.05)),
    "slow-100ms": (Model(), Model(slower=100)),
}


def _report(name: str, plan: Plan, draw: Draw, releases: int) -> None:
    endings: Counter[Action] = Counter()
    steps: Counter[str] = Counter()
    times = []
    for seed in range(releases):
        action, seconds, step = release(plan, draw, seed)
        endings[action] += 1
        steps[step] += action is Action.ROLL_BACK
        times.append(seconds)
    shares = ", ".join(f"{action.value} {count}" for action, count in endings.most_common())
    rolled = ", ".join(f"{step} {count}" for step, count in steps.items() if count)
    spread = statistics.quantiles(times, n=100) if releases > 1 else times * 99
    print(
        f"{name:<12} {releases} releases: {shares}; seconds: median {statistics.median(times):.0f}, "
        f"99 of 100 within {spread[98]:.0f}" + (f"; rolled back in: {rolled}" if rolled else ""),
        flush=True,
    )


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"default: all of {' '.join(CASES)}")
    parser.add_argument("--releases", type=int, default=10_000, help="of each case; default: %(default)s")
    parser.add_argument(
        "--rate", type=float, default=4.8, help="reads a second; default: %(default)s, 5 users"
    )
    parser.add_argument("--plan", type=Path, default=DEFAULT)
    parser.add_argument(
        "--recorded", type=Path, nargs="+", metavar="REPORT", help="real answers in place of models"
    )
    options = parser.parse_args(arguments)
    plan = load(options.plan)
    if options.recorded:
        _report("recorded", plan, recorded(read_blocks(options.recorded)), options.releases)
        return 0
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {' '.join(sorted(unknown))}; there are {' '.join(CASES)}")
    for name in options.cases:
        stable, candidate = CASES[name]
        _report(name, plan, modelled(stable, candidate, options.rate * plan.interval), options.releases)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
