"""The exercise and its parts, as both places must show them."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.load import ClosedLoop
from tests.support.place import Counts, Place
from tests.support.waiting import eventually


def read_songs(place: Place, count: int) -> Counter[int]:
    """Read songs one after the other; return the answers by status."""
    songs = [row["music_id"] for row in place.sample("music")[:50]]
    headers = place.headers
    return Counter(
        place.call("GET", f"/music/{songs[i % 50]}", headers=headers).status_code for i in range(count)
    )


def counted_reads(place: Place, count: int) -> tuple[Counter[int], Counts]:
    """Read songs; return the answers by status, and the gateway's counts by version and status."""
    with place.counted(count) as got:
        seen = read_songs(place, count)
    assert sum(got.values()) == count, got
    return seen, got


@contextmanager
def restored(place: Place) -> Iterator[Place]:
    """Bring back, at the end, all traffic to v1, no v2, and the files as they were."""
    kept = {name: (place.root / name).read_text() for name in ("s2/v2/app.py", "cluster/s2-vs-v2.yaml")}
    yield place
    for name, text in kept.items():
        (place.root / name).write_text(text)
    place.run("make -f k8s.mak clean")
    place.s2("v1")
    place.kubectl("-n c756ns delete deploy/cmpt756s2-v2 --ignore-not-found")


def healthy_v2(place: Place) -> None:
    """Deploy version 2 without its bug, at 10 %."""
    place.edit("s2/v2/app.py", "PERCENT_ERROR = 50", "PERCENT_ERROR = 0")
    place.run("make -f k8s.mak clean")
    place.s2("v2")


def whole_release(place: Place) -> None:
    """Version 2 at 10 %, its bug, the roll-back, the fix, 0/100, version 1 deleted."""
    # v2 gets a tenth, and half of its reads fail; none of v1's does.
    place.s2("v2")
    seen, got = counted_reads(place, 4000)
    v2 = got["v2", "200"] + got["v2", "500"]
    assert 0.08 <= v2 / 4000 <= 0.12, got
    assert 0.35 <= got["v2", "500"] / v2 <= 0.65, got
    assert got["v1", "500"] == 0, got
    assert seen == {200: got["v1", "200"] + got["v2", "200"], 500: got["v2", "500"]}

    # The roll-back: all of it to v1, v2 still runs and is still scraped.
    place.s2("v1")
    seen, got = counted_reads(place, 1000)
    assert seen == {200: 1000}
    assert got["v2", "200"] + got["v2", "500"] == 0, got
    assert place.pod("cmpt756s2", "v2")

    # The fix takes effect after clean and s2, not before: an image holds what it was built from.
    place.edit("s2/v2/app.py", "PERCENT_ERROR = 50", "PERCENT_ERROR = 0")
    place.edit("cluster/s2-vs-v2.yaml", "weight: 90", "weight: 50")
    place.edit("cluster/s2-vs-v2.yaml", "weight: 10", "weight: 50")
    place.s2("v2")
    assert read_songs(place, 200)[500] > 0
    place.run("make -f k8s.mak clean")
    place.run("tools/s2ver.sh v2")
    assert read_songs(place, 400) == {200: 400}

    # 0/100: only the target s2 is needed. Then v1 goes, and nobody notices.
    place.edit("cluster/s2-vs-v2.yaml", "weight: 50\n        - dest", "weight: 0\n        - dest")
    place.edit("cluster/s2-vs-v2.yaml", "weight: 50", "weight: 100")
    place.s2("v2")
    seen, got = counted_reads(place, 300)
    assert seen == {200: 300}
    assert (got["v1", "200"], got["v2", "200"]) == (0, 300)
    place.kubectl("-n c756ns delete deploy/cmpt756s2-v1")
    assert read_songs(place, 200) == {200: 200}
    assert "cmpt756s2-v1" not in place.kubectl("-n c756ns get deploy")


# --- changes under load ------------------------------------------------------------------------------------
def reads(place: Place) -> list[str]:
    """URLs of songs and users."""
    songs = [f"{place.api}/music/{row['music_id']}" for row in place.sample("music")[:20]]
    users = [f"{place.api}/user/{row['user_id']}" for row in place.sample("users")[:20]]
    return [*songs, *users]


def twenty_switches(place: Place) -> ClosedLoop:
    """Send all traffic to v2 and back, 20 times under load; no request may fail."""
    place.edit("cluster/s2-vs-v2.yaml", "weight: 90", "weight: 0")
    place.edit("cluster/s2-vs-v2.yaml", "weight: 10", "weight: 100")
    with ClosedLoop(reads(place), place.headers) as load:
        for number in range(20):
            place.kubectl(f"-n c756ns apply -f cluster/s2-vs-v{1 + (number + 1) % 2}.yaml")
            time.sleep(0.2)
    assert set(load.answers) == {"200"}
    return load


def rolling_updates(place: Place, seconds: int) -> ClosedLoop:
    """Restart each service under load, within `seconds` each; no request may fail."""
    with ClosedLoop(reads(place), place.headers) as load:
        for name in ("cmpt756s1", "cmpt756s2-v1", "cmpt756s2-v2", "cmpt756db"):
            place.kubectl(f"-n c756ns rollout restart deploy/{name}")
            place.kubectl(f"-n c756ns rollout status deploy/{name} --timeout={seconds}s")
        # The old pods end under load as well.
        old_pods_are_gone(place, 60)
    assert set(load.answers) == {"200"}
    return load


def old_pods_are_gone(place: Place, seconds: float) -> None:
    """Wait until no pod is on its way out."""
    eventually(
        lambda: not any("deletionTimestamp" in pod["metadata"] for pod in place.get("pods")["items"]),
        seconds,
        "the end of the old pods",
        pause=0.5,
    )


# --- faults ------------------------------------------------------------------------------------------------
def delay_of_db(place: Place, song: str) -> None:
    """Let db wait a second, and end it."""
    place.kubectl("-n c756ns apply -f cluster/db-vs-delay.yaml")

    def seconds() -> float:
        answer = place.call("GET", song)
        assert answer.status_code == 200
        return answer.elapsed.total_seconds()

    eventually(lambda: seconds() >= 1.0, 5, "the delay")
    place.kubectl("-n c756ns delete -f cluster/db-vs-delay.yaml")
    eventually(lambda: seconds() < 0.8, 5, "the end of the delay")


def fault_of_db(place: Place, song: str) -> None:
    """Let a part of db's answers be 503, and end it."""
    place.kubectl("-n c756ns apply -f cluster/db-vs-fault.yaml")
    eventually(lambda: place.call("GET", song).status_code >= 500, 5, "the fault")
    answers = [place.call("GET", song).status_code for _ in range(100)]
    # 30 % of them; S2 passes its neighbour's failure on, and asks once.
    assert 10 <= sum(code >= 500 for code in answers) <= 55, answers
    place.kubectl("-n c756ns delete -f cluster/db-vs-fault.yaml")
    time.sleep(1)
    assert {place.call("GET", song).status_code for _ in range(50)} == {200}
