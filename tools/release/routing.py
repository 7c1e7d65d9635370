"""The candidate's share of the traffic as rules of a VirtualService. Pure.

Each rule that leads to the stable version becomes two: one for safe methods, of which each version that a
request does not go to gets a copy, and one for all the rest. So both versions answer the same reads at the same
time, whatever the weights are.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute
"""

import copy
import hashlib
import json
from typing import Any

from tools.release.plan import Plan

Spec = dict[str, Any]


class RoutingError(Exception):
    """The VirtualService is not as a release needs it; the text says where and what to do."""


def digest(spec: Spec) -> str:
    """Return a digest by which a spec is known again."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def _is_of(service: str, destination: dict[str, Any]) -> bool:
    """Whether a destination is the service: by its short name, or by a full one."""
    return str(destination.get("host", "")).split(".", maxsplit=1)[0] == service


def _stable_destination(rule: Spec, plan: Plan, where: str) -> dict[str, Any] | None:
    """Return the destination of a rule whose traffic is all the stable version's, None for other services' rules."""
    routes = [piece for piece in rule.get("route") or [] if _is_of(plan.service, piece["destination"])]
    if not routes:
        return None
    if len(routes) < len(rule["route"]):
        raise RoutingError(
            f"{where}.route: leads to {plan.service} and to others; a release needs rules of its own"
        )
    served = [piece for piece in routes if len(routes) == 1 or piece.get("weight", 0) > 0]
    subsets = [piece["destination"].get("subset") for piece in served]
    if subsets != [plan.stable]:
        raise RoutingError(
            f"{where}.route: leads to {' and '.join(str(s) for s in subsets)}; before a release all traffic "
            f"must be {plan.stable}'s: tools/s2ver.sh {plan.stable}"
        )
    for field in ("mirror", "mirrors"):
        if rule.get(field):
            raise RoutingError(f"{where}.{field}: a release sets copies of its own; remove it first")
    chosen: dict[str, Any] = served[0]
    return chosen


def _split(destination: dict[str, Any], plan: Plan, weight: int) -> list[dict[str, Any]]:
    """Return the route for the candidate's weight in percent."""
    parts = []
    for subset, share in ((plan.stable, 100 - weight), (plan.candidate, weight)):
        if share:
            piece = copy.deepcopy(destination)
            piece["destination"]["subset"] = subset
            piece.pop("weight", None)
            parts.append({**piece, "weight": share} if share < 100 else piece)
    return parts


def _mirrors(destination: dict[str, Any], plan: Plan, weight: int) -> list[dict[str, Any]]:
    """Return copies that make up for what a version does not get by its weight."""
    found = []
    for subset, share in ((plan.candidate, 100 - weight), (plan.stable, weight)):
        value: float = round(share * plan.mirror_percent / 100, 3)
        if value.is_integer():
            value = int(value)  # as the API server stores it
        if value:
            target = {**copy.deepcopy(destination["destination"]), "subset": subset}
            found.append({"destination": target, "percentage": {"value": value}})
    return found


def _safe_matches(rule: Spec, methods: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the matches of a rule, for safe methods only. One that has its own pattern of methods is left out."""
    found = []
    for match in rule.get("match") or [{}]:
        method = match.get("method")
        if method is None:
            found.append({**copy.deepcopy(match), "method": {"regex": "|".join(methods)}})
        elif method.get("exact") in methods:
            found.append(copy.deepcopy(match))
    return found


def released(origin: Spec, plan: Plan, weight: int, *, mirrored: bool) -> Spec:
    """Return the spec in which the candidate has `weight` percent, and copies where `mirrored`.

    Raises RoutingError if `origin`, the spec before the release, does not send all traffic to the stable version.
    """
    rules: list[Spec] = []
    found = False
    for number, rule in enumerate(origin.get("http") or []):
        destination = _stable_destination(rule, plan, f"VirtualService {plan.service}: spec.http[{number}]")
        if destination is None:
            rules.append(copy.deepcopy(rule))
            continue
        found = True
        split = {**copy.deepcopy(rule), "route": _split(destination, plan, weight)}
        matches = _safe_matches(rule, plan.methods)
        if mirrored and matches:
            safe = {**copy.deepcopy(split), "match": matches, "mirrors": _mirrors(destination, plan, weight)}
            if "name" in rule:
                safe["name"] = f"{rule['name']}-copied"
            rules.append(safe)
        rules.append(split)
    if not found:
        raise RoutingError(f"VirtualService {plan.service}: no rule of spec.http leads to {plan.service}")
    return {**copy.deepcopy(origin), "http": rules}
