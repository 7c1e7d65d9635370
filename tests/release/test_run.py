"""Whole releases, against a cluster and a Prometheus in memory."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.release.fakes import ORIGIN, Version, World
from tools.release import run as run_module
from tools.release.lease import LeaseHeldError
from tools.release.plan import DEFAULT, Plan, load
from tools.release.progress import Moment, Progress
from tools.release.routing import RoutingError
from tools.release.run import NotReadyError, Release


class Silent:
    """Keeps what would be shown."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, text: str) -> None:
        self.events.append(text)

    def moment(self, moment: Moment) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def plan() -> Plan:
    return load(DEFAULT)


@pytest.fixture
def world(plan: Plan) -> World:
    return World(plan)


def make(world: World, identity: str = "tester") -> Release:
    return Release(
        world.plan,
        world.cluster,  # type: ignore[arg-type]
        world,  # type: ignore[arg-type]
        identity=identity,
        display=Silent(),
        stop=world,  # type: ignore[arg-type]
        clock=world.clock,
        sleep=world.sleep,
    )


def release(world: World) -> Progress:
    return make(world).run()


def assert_as_before(world: World) -> None:
    assert world.cluster.virtual_service["spec"] == ORIGIN
    assert not world.cluster.virtual_service["metadata"].get("annotations")


def weights(progress: Progress) -> list[int]:
    return list(dict.fromkeys(moment.weight for moment in progress.moments))


def test_a_healthy_candidate_gets_all_users_step_by_step(world: World) -> None:
    progress = release(world)
    assert progress.ending == "promoted", progress.reason
    assert weights(progress) == [0, 1, 5, 10, 25, 50, 100]
    assert world.cluster.weight == 100
    spec = world.cluster.virtual_service["spec"]
    assert [rule["name"] for rule in spec["http"]] == ["music"]
    assert "mirrors" not in spec["http"][0]
    assert not world.cluster.virtual_service["metadata"].get("annotations")
    assert 300 <= progress.seconds <= 400
    last = progress.moments[-1]
    assert last.candidate.user_answers > 150  # a step at 50 % and one at 100 %
    assert last.candidate.user_failures == 0
    # Copies keep both versions equally busy, so that little traffic is enough.
    assert last.candidate.answers == pytest.approx(last.stable.answers, rel=0.1)
    assert world.cluster.objects["lease", "cmpt756s2-release"]["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize(
    ("failures", "milliseconds", "within"),
    [(0.5, 12, 45), (0.1, 12, 110), (0.05, 12, 200), (0, 112, 45)],
    ids=["50 %", "10 %", "5 %", "+100 ms"],
)
def test_a_bad_candidate_gets_no_users(
    world: World, failures: float, milliseconds: float, within: float
) -> None:
    world.v2 = Version(failures, milliseconds)
    progress = release(world)
    assert progress.ending == "rolled back"
    assert ("fails where" if failures else "is slower where") in progress.reason
    assert progress.seconds <= within
    assert progress.moments[-1].candidate.user_answers == 0
    assert_as_before(world)


def test_what_the_stable_version_fails_too_is_no_fault_of_the_candidate(world: World) -> None:
    world.v1.failures = world.v2.failures = 0.02
    progress = release(world)
    assert progress.ending == "promoted", progress.reason


def test_an_outage_of_both_versions_is_no_fault_of_the_candidate(world: World) -> None:
    def fail(share: float) -> None:
        world.v1.failures = world.v2.failures = share

    for begin in (20, 60, 100, 200):
        world.after(begin, lambda: fail(1.0))
        world.after(begin + 4, lambda: fail(0.0))
    assert release(world).ending == "promoted"


def test_harm_that_begins_late_is_found(world: World) -> None:
    def break_candidate() -> None:
        world.v2.failures = 0.3

    world.after(210, break_candidate)
    progress = release(world)
    assert progress.ending == "rolled back"
    assert progress.moments[-1].weight > 0
    assert progress.seconds < 210 + 45
    assert_as_before(world)


def test_a_candidate_that_falls_silent_is_rolled_back(world: World) -> None:
    def vanish() -> None:
        world.v2.is_there = False

    world.after(180, vanish)
    progress = release(world)
    assert progress.ending == "rolled back"
    assert "does not answer any more" in progress.reason
    assert progress.seconds < 180 + 40
    assert_as_before(world)


@pytest.mark.parametrize("rate", [0.0, 0.02], ids=["none", "one a minute"])
def test_too_little_traffic_promotes_nobody(plan: Plan, rate: float) -> None:
    world = World(plan, rate)
    progress = release(world)
    assert progress.ending == "undecided"
    assert "too little traffic" in progress.reason
    assert plan.patience <= progress.seconds <= plan.patience + 30
    assert weights(progress) == [0]
    assert_as_before(world)


def test_traffic_that_ends_half_way_promotes_nobody(world: World) -> None:
    def end() -> None:
        world.rate = 0

    world.after(200, end)
    progress = release(world)
    assert progress.ending == "undecided"
    assert "too little traffic" in progress.reason
    assert weights(progress)[-1] > 0
    assert_as_before(world)


@pytest.mark.parametrize("seconds", [5, 50, 200], ids=["warm-up", "dark launch", "step"])
def test_a_signal_rolls_back(world: World, seconds: float) -> None:
    def press() -> None:
        world.reason = "ended by Ctrl-C"

    world.after(seconds, press)
    progress = release(world)
    assert (progress.ending, progress.reason) == ("rolled back", "ended by Ctrl-C")
    assert progress.seconds <= seconds + 5
    assert_as_before(world)


def _lose_prometheus(world: World) -> None:
    world.prometheus_is_down = True


def _lose_scrapes(world: World) -> None:
    world.scrapes_fail = True


@pytest.mark.parametrize("lose", [_lose_prometheus, _lose_scrapes])
@pytest.mark.parametrize("seconds", [1, 50, 200])
def test_lost_metrics_roll_back(world: World, lose: Callable[[World], None], seconds: float) -> None:
    world.after(seconds, lambda: lose(world))
    progress = release(world)
    assert progress.ending == "undecided"
    assert "Prometheus is lost" in progress.reason
    assert progress.seconds <= seconds + world.plan.metrics_lost + 20
    assert_as_before(world)


def test_a_short_loss_of_prometheus_is_borne(world: World) -> None:
    def back() -> None:
        world.prometheus_is_down = False

    for begin in (5, 50, 200):
        world.after(begin, lambda: _lose_prometheus(world))
        world.after(begin + 20, back)
    assert release(world).ending == "promoted"


# --- others -------------------------------------------------------------------------------------------------
def _to_v1(obj: dict[str, Any]) -> None:
    obj["spec"] = {**ORIGIN, "http": [{**ORIGIN["http"][0], "timeout": "5s"}]}  # type: ignore[index]


@pytest.mark.parametrize("seconds", [4, 60, 200])
def test_somebody_elses_change_stays(world: World, seconds: float) -> None:
    world.after(seconds, lambda: world.cluster.edit(_to_v1))
    progress = release(world)
    assert progress.ending == "undecided"
    assert "somebody else has changed" in progress.reason
    assert progress.seconds <= seconds + 10
    assert world.cluster.virtual_service["spec"]["http"][0]["timeout"] == "5s"
    assert not world.cluster.virtual_service["metadata"].get("annotations")


def test_changes_of_other_parts_do_not_matter(world: World) -> None:
    def note(obj: dict[str, Any]) -> None:
        obj["metadata"].setdefault("annotations", {})["team"] = "music"
        obj["status"] = {"observedGeneration": "9"}

    for seconds in range(1, 400, 3):
        world.after(seconds, lambda: world.cluster.edit(note))
    progress = release(world)
    assert progress.ending == "promoted", progress.reason
    assert world.cluster.virtual_service["metadata"]["annotations"] == {"team": "music"}


def test_one_release_at_a_time(world: World) -> None:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "ann@laptop", "leaseDurationSeconds": 30, "renewTime": now}
    world.cluster.create({"kind": "Lease", "metadata": {"name": "cmpt756s2-release"}, "spec": spec})
    with pytest.raises(LeaseHeldError, match="the release of ann@laptop runs"):
        release(world)
    assert_as_before(world)


def test_a_lease_that_was_taken_ends_the_release_without_a_touch(world: World) -> None:
    def take() -> None:
        lease = world.cluster.get("lease", "cmpt756s2-release")
        lease["spec"]["holderIdentity"] = "bob"
        world.cluster.replace(lease)

    world.after(200, take)
    progress = release(world)
    assert progress.ending == "undecided"
    assert "Lease" in progress.reason
    assert world.cluster.weight > 0  # bob's now
    assert world.cluster.objects["lease", "cmpt756s2-release"]["spec"]["holderIdentity"] == "bob"


def test_a_crash_is_cleared_by_the_next_release(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crash(BaseException): ...

    def crash() -> None:
        raise Crash

    # SIGKILL leaves no chance to roll back, or to give the lease back.
    monkeypatch.setattr(Release, "_finish", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(Release, "_let_go", lambda _self: None)
    world.after(200, crash)
    with pytest.raises(Crash):
        release(world)
    monkeypatch.undo()
    assert world.cluster.weight > 0

    with pytest.raises(LeaseHeldError):  # for as long as the lease lasts
        release(world)
    world.cluster.objects["lease", "cmpt756s2-release"]["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    seen: list[int] = []
    world.cluster.before_write = lambda kind: seen.append(world.cluster.weight)
    world.v2.failures = 0.5
    progress = release(world)
    assert "An unfinished release was found" in progress.events[0].text
    assert "rolled back" in progress.events[0].text
    assert progress.ending == "rolled back"
    assert_as_before(world)


def test_a_crashed_release_whose_rules_were_changed_since_is_only_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Release, "_finish", lambda *_args, **_kwargs: None)
    world.after(200, lambda: setattr(world, "reason", "crash"))
    release(world)
    monkeypatch.undo()
    world.reason = ""
    world.cluster.edit(_to_v1)
    progress = release(world)
    assert "somebody has changed its rules since" in progress.events[0].text
    assert progress.ending == "promoted"
    assert world.cluster.virtual_service["spec"]["http"][0]["timeout"] == "5s"


def test_a_roll_back_is_tried_until_the_cluster_answers(world: World) -> None:
    world.v2.failures = 0.5

    def down(kind: str) -> None:
        world.cluster.before_write = lambda kind: None
        world.cluster.down = True
        world.after(40, lambda: setattr(world.cluster, "down", False))

    world.after(
        15,
        lambda: setattr(world.cluster, "before_write", lambda kind: down(kind) if kind != "lease" else None),
    )
    progress = release(world)
    assert progress.ending == "rolled back", progress.reason
    assert_as_before(world)


def test_a_roll_back_that_cannot_be_done_is_said(world: World) -> None:
    world.after(60, lambda: setattr(world.cluster, "down", True))
    progress = release(world)
    assert progress.ending == "stuck"
    assert "NOT ROLLED BACK" in progress.events[-1].text or "NOT ROLLED BACK" in progress.events[-2].text
    assert progress.seconds < 60 + run_module.ROLL_BACK_FOR + 60


def test_a_short_loss_of_the_cluster_is_borne(world: World) -> None:
    for begin in (30, 180):
        world.after(begin, lambda: setattr(world.cluster, "down", True))
        world.after(begin + 15, lambda: setattr(world.cluster, "down", False))
    assert release(world).ending == "promoted"


def test_an_error_of_the_tool_itself_rolls_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_tool() -> None:
        raise ZeroDivisionError

    world.after(200, break_tool)
    with pytest.raises(ZeroDivisionError):
        release(world)
    assert_as_before(world)


def test_a_release_begins_only_where_all_traffic_is_stable(world: World) -> None:
    def split(obj: dict[str, Any]) -> None:
        destination = obj["spec"]["http"][0]["route"][0]["destination"]
        obj["spec"]["http"][0]["route"] = [
            {"destination": destination, "weight": 90},
            {"destination": {**destination, "subset": "v2"}, "weight": 10},
        ]

    world.cluster.edit(split)
    before = world.cluster.virtual_service
    with pytest.raises(RoutingError, match=r"leads to v1 and v2; .* tools/s2ver.sh v1"):
        release(world)
    assert world.cluster.virtual_service == before


def test_a_release_begins_only_with_ready_pods(world: World) -> None:
    world.cluster.ready["v2"] = 0
    with pytest.raises(NotReadyError, match="cmpt756s2 v2 has no ready pod"):
        release(world)
    assert_as_before(world)
    assert world.cluster.objects["lease", "cmpt756s2-release"]["spec"]["holderIdentity"] == ""
