"""What is to be seen at a place: questions that are asked until the answer is right."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from tools.release.prometheus import Prometheus, PrometheusError

_S2 = 'reporter="source",destination_app="cmpt756s2",source_workload=~"istio-ingressgateway.*"'


class NotSeenError(Exception):
    """What a step is to show was not seen in time; the text says what was, and what was expected."""


def eventually(what: str, seconds: float, look: Callable[[], tuple[bool, str]]) -> str:
    """Look every two seconds until it is right; return what was seen. Raises NotSeenError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            is_right, seen = look()
        except (PrometheusError, requests.RequestException) as error:
            is_right, seen = False, str(error)
        if is_right:
            return seen
        if time.monotonic() > deadline:
            raise NotSeenError(f"expected: {what}; seen after {seconds:.0f} s: {seen}")
        time.sleep(2)


@dataclass
class Place:
    """The place in use.

    Attributes:
        prometheus: the place's Prometheus.
        graph: the graph's URL.
    """

    prometheus: Prometheus
    graph: str

    def rates(self, seconds: int = 30) -> dict[tuple[str, str], float]:
        """Return users' requests a second to S2 by version and response code, over the last `seconds`."""
        found = self.prometheus.values(
            f"sum by (destination_version, response_code) (rate(istio_requests_total{{{_S2}}}[{seconds}s]))"
        )
        return {
            (labels.get("destination_version", ""), labels.get("response_code", "")): value
            for labels, value in found
            if value > 0
        }

    def rate(self, app: str, seconds: int = 30) -> float:
        """Return requests a second from the gateway to a service."""
        labels = _S2.replace("cmpt756s2", app)
        return sum(
            value
            for _, value in self.prometheus.values(f"sum(rate(istio_requests_total{{{labels}}}[{seconds}s]))")
        )


def _show(rates: dict[tuple[str, str], float]) -> str:
    return (
        ", ".join(f"{version} {code}: {rate:.2f}/s" for (version, code), rate in sorted(rates.items()))
        or "no traffic"
    )


def share_of(version: str, rates: dict[tuple[str, str], float]) -> float:
    """Return a version's share of the requests, 0 to 1."""
    total = sum(rates.values())
    return sum(rate for (name, _), rate in rates.items() if name == version) / total if total else 0.0


def failed_of(version: str, rates: dict[tuple[str, str], float]) -> float:
    """Return the share of a version's requests that got a 5xx, 0 to 1."""
    of_version = {code: rate for (name, code), rate in rates.items() if name == version}
    total = sum(of_version.values())
    return sum(rate for code, rate in of_version.items() if code.startswith("5")) / total if total else 0.0


# --- what steps show -----------------------------------------------------------------------------------------
def load_on_both(place: Place) -> str:
    """About one read a second on S1 and five on S2."""

    def look() -> tuple[bool, str]:
        users, music = place.rate("cmpt756s1"), place.rate("cmpt756s2")
        return 0.6 <= users <= 1.2 and 4 <= music <= 5.5, f"S1 {users:.1f}/s, S2 {music:.1f}/s"

    return eventually("1 read a second on S1, slightly less than 5 on S2", 90, look)


def all_to_v1(place: Place) -> str:
    """S2's traffic goes to v1, and all of it succeeds."""

    def look() -> tuple[bool, str]:
        rates = place.rates()
        return share_of("v1", rates) == 1 and failed_of("v1", rates) == 0, _show(rates)

    return eventually("all of S2's traffic to v1, without errors", 90, look)


def a_tenth_to_v2(place: Place) -> str:
    """About a tenth of S2's traffic goes to v2."""

    def look() -> tuple[bool, str]:
        rates = place.rates(60)
        return 0.03 <= share_of(
            "v2", rates
        ) <= 0.2, f"v2 gets {100 * share_of('v2', rates):.0f} %: {_show(rates)}"

    return eventually("about 10 % to v2", 120, look)


def half_of_v2_fails(place: Place) -> str:
    """About half of v2's answers are 500, none of v1's."""

    def look() -> tuple[bool, str]:
        rates = place.rates(60)
        is_right = 0.2 <= failed_of("v2", rates) <= 0.8 and failed_of("v1", rates) == 0
        return (
            is_right,
            f"{100 * failed_of('v2', rates):.0f} % of v2's answers fail, {100 * failed_of('v1', rates):.0f} % of v1's",
        )

    return eventually("about half of v2's answers are 500, and none of v1's", 120, look)


def v2_without_errors(place: Place) -> str:
    """Version 2 gets its tenth, and there is no error at all."""

    def look() -> tuple[bool, str]:
        rates = place.rates()
        return share_of("v2", rates) > 0 and failed_of("v1", rates) == failed_of("v2", rates) == 0, _show(
            rates
        )

    return eventually("traffic to both versions, without errors", 120, look)


def all_to_v2(place: Place) -> str:
    """S2's traffic goes to v2, and all of it succeeds."""

    def look() -> tuple[bool, str]:
        rates = place.rates()
        return share_of("v2", rates) == 1 and failed_of("v2", rates) == 0, _show(rates)

    return eventually("all of S2's traffic to v2, without errors", 90, look)


def graph_of_the_calls(place: Place) -> str:
    """The graph has the users' two services and what they call."""

    def look() -> tuple[bool, str]:
        answer = requests.get(
            f"{place.graph}/api/graph", params={"namespace": "c756ns", "interval": "1m"}, timeout=10
        )
        if answer.status_code != 200:
            return False, f"{place.graph} answers {answer.status_code}"
        text = answer.text
        missing = [
            name
            for name in ("istio-ingressgateway", "cmpt756s1", "cmpt756s2", "cmpt756db")
            if name not in text
        ]
        return (
            not missing,
            f"not in the graph: {', '.join(missing)}" if missing else "the gateway, S1, S2 and db",
        )

    return eventually("the gateway, S1, S2 and db in the graph", 60, look)
