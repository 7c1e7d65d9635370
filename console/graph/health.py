"""Health of traffic by Kiali's default rules: https://kiali.io/docs/configuration/health/#default-configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """What an arc or node is coloured by; from better to worse."""

    IDLE = "idle"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILURE = "failure"


_ORDER = list(Health)


@dataclass(frozen=True)
class Tolerance:
    """Shares of answers with such codes, in percent: above `degraded` and from `failure` on."""

    code: re.Pattern[str]
    protocol: str
    degraded: float
    failure: float


DEFAULT_TOLERANCES = (
    Tolerance(re.compile(r"5\d\d"), "http", 0, 10),
    Tolerance(re.compile(r"4\d\d"), "http", 10, 20),
    Tolerance(re.compile(r"[1-9]|1[0-6]"), "grpc", 0, 10),
)
"""Kiali's; a share of exactly 10 % of 4xx is degraded already, as its page says for the client errors."""


def worst(*found: Health) -> Health:
    """Return the worst of some healths; idle where there is none."""
    return max(found, key=_ORDER.index, default=Health.IDLE)


def of_rates(rates: Mapping[str, float], protocol: str) -> Health:
    """Return the health of traffic with these rates by response code."""
    total = sum(rates.values())
    if total <= 0:
        return Health.IDLE
    return worst(Health.HEALTHY, *(_of(tolerance, rates, total) for tolerance in _for(protocol)))


def _for(protocol: str) -> list[Tolerance]:
    return [tolerance for tolerance in DEFAULT_TOLERANCES if tolerance.protocol == protocol]


def _of(tolerance: Tolerance, rates: Mapping[str, float], total: float) -> Health:
    failing = sum(rate for code, rate in rates.items() if tolerance.code.fullmatch(code))
    share = 100 * failing / total
    if failing and share >= tolerance.failure:
        return Health.FAILURE
    if failing and share >= tolerance.degraded:
        return Health.DEGRADED
    return Health.HEALTHY


def is_error(code: str, protocol: str) -> bool:
    """Tell whether an answer with `code` counts as failed: 4xx, 5xx, no answer (0), gRPC's 1 to 16."""
    if protocol == "grpc":
        return code != "0"
    return code[:1] in {"4", "5", "0", "-", ""}
