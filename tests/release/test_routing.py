import copy
import dataclasses
from typing import Any

import pytest
import yaml

from tests.release.fakes import ORIGIN
from tests.support.place import ROOT
from tools.check import istio, schema
from tools.release.plan import DEFAULT, Plan, load
from tools.release.routing import RoutingError, digest, released


@pytest.fixture
def plan() -> Plan:
    return load(DEFAULT)


def spec(**changes: Any) -> dict[str, Any]:
    rule = {**copy.deepcopy(ORIGIN["http"][0]), **changes}  # type: ignore[index]
    return {**ORIGIN, "http": [rule]}


def shares(rule: dict[str, Any]) -> dict[str, int]:
    return {piece["destination"]["subset"]: piece.get("weight", 100) for piece in rule["route"]}


def copies(rule: dict[str, Any]) -> dict[str, float]:
    return {m["destination"]["subset"]: m["percentage"]["value"] for m in rule.get("mirrors", [])}


@pytest.mark.parametrize("weight", [0, 1, 5, 10, 25, 50, 100])
def test_each_read_is_seen_by_both_versions(plan: Plan, weight: int) -> None:
    reads, rest = released(spec(), plan, weight, mirrored=True)["http"]
    wanted = {name: share for name, share in (("v1", 100 - weight), ("v2", weight)) if share}
    assert shares(reads) == shares(rest) == wanted
    assert copies(reads) == {name: share for name, share in (("v1", weight), ("v2", 100 - weight)) if share}
    assert copies(rest) == {}
    assert reads["match"] == [{"uri": {"prefix": "/api/v1/music"}, "method": {"regex": "GET|HEAD"}}]
    assert rest["match"] == [{"uri": {"prefix": "/api/v1/music"}}]
    assert reads["timeout"] == rest["timeout"] == "10s"
    assert len({reads["name"], rest["name"]}) == 2


@pytest.mark.parametrize("weight", [0, 1, 100])
def test_the_rules_pass_the_checks_of_the_project(plan: Plan, weight: int) -> None:
    obj = yaml.safe_load((ROOT / "cluster/s2-vs-v1.yaml").read_text())
    obj["spec"] = released(obj["spec"], plan, weight, mirrored=True)
    assert schema.errors(obj) == []
    assert list(istio.validate(obj)) == []


def test_without_copies_the_rules_are_the_old_ones_with_another_subset(plan: Plan) -> None:
    got = released(spec(), plan, 100, mirrored=False)
    assert got == spec(
        route=[{"destination": {"host": "cmpt756s2", "subset": "v2", "port": {"number": 30001}}}]
    )
    assert released(spec(), plan, 0, mirrored=False) == spec()


def test_a_smaller_share_of_copies(plan: Plan) -> None:
    plan = dataclasses.replace(plan, mirror_percent=20)
    assert copies(released(spec(), plan, 25, mirrored=True)["http"][0]) == {"v2": 15, "v1": 5}


def test_only_safe_methods_are_copied(plan: Plan) -> None:
    uri = {"uri": {"prefix": "/api/v1/music"}}
    matches = [{**uri, "method": {"exact": m}} for m in ("GET", "POST")] + [
        {**uri, "method": {"regex": ".*"}}
    ]
    reads, rest = released(spec(match=matches), plan, 0, mirrored=True)["http"]
    assert reads["match"] == matches[:1]
    assert rest["match"] == matches
    (only,) = released(spec(match=matches[1:]), plan, 0, mirrored=True)["http"]
    assert "mirrors" not in only


def test_a_rule_without_match(plan: Plan) -> None:
    rule = spec()
    del rule["http"][0]["match"]
    reads, rest = released(rule, plan, 0, mirrored=True)["http"]
    assert reads["match"] == [{"method": {"regex": "GET|HEAD"}}]
    assert "match" not in rest


def test_rules_of_other_services_stay(plan: Plan) -> None:
    other = {"name": "users", "route": [{"destination": {"host": "cmpt756s1"}}]}
    redirect = {"name": "old", "redirect": {"uri": "/new"}}
    got = released({**spec(), "http": [other, redirect, *spec()["http"]]}, plan, 10, mirrored=True)
    assert got["http"][:2] == [other, redirect]
    assert len(got["http"]) == 4


def test_the_origin_is_not_changed(plan: Plan) -> None:
    origin = spec()
    before = copy.deepcopy(origin)
    released(origin, plan, 50, mirrored=True)
    assert origin == before


V1 = {"destination": {"host": "cmpt756s2", "subset": "v1"}}
V2 = {"destination": {"host": "cmpt756s2.c756ns.svc.cluster.local", "subset": "v2"}}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"route": [{**V1, "weight": 90}, {**V2, "weight": 10}]},
            r"spec.http\[0\].route: leads to v1 and v2",
        ),
        ({"route": [V2]}, "leads to v2; .* must be v1's"),
        ({"route": [{"destination": {"host": "cmpt756s2"}}]}, "leads to None"),
        ({"route": [V1, {"destination": {"host": "other"}}]}, "leads to cmpt756s2 and to others"),
        ({"route": [{"destination": {"host": "other"}}]}, "no rule of spec.http leads to cmpt756s2"),
        ({"mirror": V2["destination"]}, "mirror: a release sets copies of its own"),
        ({"mirrors": [V2]}, "mirrors: a release sets copies of its own"),
    ],
)
def test_what_a_release_cannot_begin_with(plan: Plan, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(RoutingError, match=text):
        released(spec(**changes), plan, 0, mirrored=True)


def test_a_candidate_with_weight_0_is_none(plan: Plan) -> None:
    route = [{**V1, "weight": 100}, {**V2, "weight": 0}]
    assert shares(released(spec(route=route), plan, 10, mirrored=True)["http"][1]) == {"v1": 90, "v2": 10}


def test_the_digest_does_not_care_for_order() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"b": [1, 2]}) != digest({"b": [2, 1]})
