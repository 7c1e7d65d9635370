"""The arithmetic of a Deployment's rolling update: how many replicas each ReplicaSet may have now."""

import hashlib
import json
import math

from local.kinds import Object

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated names: no vowels, no lookalikes (k8s.io/apimachinery's rand.SafeEncodeString)."""


def _number(value: int | str, total: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    share = total * int(value.removesuffix("%")) / 100
    return math.ceil(share) if up else math.floor(share)


def replicas_of(obj: Object) -> int:
    """Return spec.replicas, 1 where it is not given."""
    return int(obj["spec"].get("replicas", 1))


def is_rolling(deployment: Object) -> bool:
    """Tell whether the strategy is RollingUpdate (the default) and not Recreate."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def limits(deployment: Object) -> tuple[int, int]:
    """Return (maxSurge, maxUnavailable) in pods: percentages of replicas, surge rounded up, the other down.

    Where both are 0 nothing could move: then one pod may be unavailable (ResolveFenceposts).
    """
    if not is_rolling(deployment):
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    desired = replicas_of(deployment)
    surge = _number(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = _number(rolling.get("maxUnavailable", "25%"), desired, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def max_replicas(deployment: Object) -> int:
    """Return how many pods of all ReplicaSets there may be at a time; 0 where none are wanted."""
    desired = replicas_of(deployment)
    return desired + limits(deployment)[0] if desired else 0


def plain_template(template: Object) -> Object:
    """Return a pod template without what a ReplicaSet adds to it, to compare by."""
    meta = {k: v for k, v in (template.get("metadata") or {}).items() if v and k != "creationTimestamp"}
    labels = {k: v for k, v in meta.get("labels", {}).items() if k != HASH_LABEL}
    return {"metadata": {**meta, "labels": labels}, "spec": template["spec"]}


def template_hash(template: Object, collisions: int) -> str:
    """Return ten letters that name a pod template; `collisions` gives another name to a template like it."""
    text = json.dumps([plain_template(template), collisions], sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, index = divmod(number, len(_SAFE))
        letters.append(_SAFE[index])
    return "".join(letters)


def revision(rs: Object) -> int:
    """Return the revision that a ReplicaSet is annotated with, 0 for none."""
    text = (rs["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def available(rs: Object) -> int:
    """Return the ReplicaSet's available pods."""
    return int((rs.get("status") or {}).get("availableReplicas", 0))


def total(sets: list[Object]) -> int:
    """Return the pods that these ReplicaSets are to have."""
    return sum(map(replicas_of, sets))


def new_replicas(deployment: Object, sets: list[Object], new: Object) -> int:
    """Return how many replicas the new ReplicaSet may be scaled up to now."""
    desired, present = replicas_of(deployment), replicas_of(new)
    if not is_rolling(deployment):
        return desired
    room = max_replicas(deployment) - total(sets)
    return present if room <= 0 else present + min(room, max(0, desired - present))


def scaled_down(deployment: Object, new: Object, old: list[Object]) -> dict[str, int]:
    """Return the replicas that old ReplicaSets, oldest first, shall go down to now, by their names.

    Unhealthy pods go first: they serve nobody. Of the others as many go as maxUnavailable allows.
    """
    _, max_unavailable = limits(deployment)
    minimum = replicas_of(deployment) - max_unavailable
    new_unavailable = replicas_of(new) - available(new)
    spare = total([new, *old]) - minimum - new_unavailable
    if spare <= 0:
        return {}
    plan = {rs["metadata"]["name"]: replicas_of(rs) for rs in old if replicas_of(rs)}
    for rs in old:
        name = rs["metadata"]["name"]
        if name in plan:
            unhealthy = min(spare, max(0, plan[name] - available(rs)))
            plan[name] -= unhealthy
            spare -= unhealthy
    serving = sum(map(available, old)) + available(new)
    to_go = serving - minimum
    for rs in old:
        name = rs["metadata"]["name"]
        if name in plan and to_go > 0:
            fewer = min(plan[name], to_go)
            plan[name] -= fewer
            to_go -= fewer
    return {rs["metadata"]["name"]: plan[rs["metadata"]["name"]] for rs in old if _changes(rs, plan)}


def _changes(rs: Object, plan: dict[str, int]) -> bool:
    return plan.get(rs["metadata"]["name"], replicas_of(rs)) != replicas_of(rs)


def proportional(deployment: Object, sets: list[Object]) -> dict[str, int]:
    """Return each ReplicaSet's replicas when a Deployment is scaled in the middle of a rollout.

    The difference is shared out by size, larger and newer ones first (proportional scaling).
    """
    active = sorted(
        (rs for rs in sets if replicas_of(rs)),
        key=lambda rs: (replicas_of(rs), rs["metadata"]["creationTimestamp"], revision(rs)),
        reverse=True,
    )
    have = total(active)
    allowed = max_replicas(deployment)
    to_add = allowed - have
    plan = {rs["metadata"]["name"]: replicas_of(rs) for rs in active}
    left = to_add
    for rs in active:
        annotated = (rs["metadata"].get("annotations") or {}).get(MAX_REPLICAS, "")
        before = int(annotated) if annotated.isdecimal() and int(annotated) else max(have, 1)
        share = round(replicas_of(rs) * allowed / before) - replicas_of(rs)
        share = max(0, min(share, left)) if to_add > 0 else min(0, max(share, left))
        plan[rs["metadata"]["name"]] += share
        left -= share
    if active and left:
        first = active[0]["metadata"]["name"]
        plan[first] = max(0, plan[first] + left)
    return plan
