"""A Deployment's status: what kubectl rollout status, describe and wait read."""

from local.controllers import conditions, pods
from local.controllers.rollout import available, limits, replicas_of, total
from local.controllers.times import seconds_since
from local.kinds import Object
from local.store import now

NEW_SET_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"


def _sum(sets: list[Object], field: str) -> int:
    return sum((rs.get("status") or {}).get(field, 0) for rs in sets)


def counts(deployment: Object, new: Object | None, sets: list[Object]) -> Object:
    """Return the numbers of the status, with those of 0 left out as the API does."""
    replicas = _sum(sets, "replicas")
    ready = sum(map(available, sets))
    numbers = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": _sum([new] if new else [], "replicas"),
        "readyReplicas": _sum(sets, "readyReplicas"),
        "availableReplicas": ready,
        "unavailableReplicas": max(0, total(sets) - ready),
        "terminatingReplicas": _sum(sets, "terminatingReplicas"),
        "collisionCount": (deployment.get("status") or {}).get("collisionCount", 0),
    }
    return {name: number for name, number in numbers.items() if number or name == "terminatingReplicas"}


def is_complete(deployment: Object, status: Object) -> bool:
    """Tell whether the rollout is at its end: all replicas are new and available, no old ones left."""
    desired = replicas_of(deployment)
    return bool(
        status.get("updatedReplicas", 0) == desired
        and status.get("replicas", 0) == desired
        and status.get("availableReplicas", 0) == desired
    )


def has_progressed(old: Object, new: Object) -> bool:
    """Tell whether the rollout came forward between two statuses."""

    def old_pods(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    return (
        new.get("updatedReplicas", 0) > old.get("updatedReplicas", 0)
        or old_pods(new) < old_pods(old)
        or new.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or new.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def deadline(deployment: Object) -> int | None:
    """Return progressDeadlineSeconds (600 where it is not given), None where there is none."""
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    return None if seconds == 2**31 - 1 else int(seconds)


def _with_availability(deployment: Object, status: Object, known: list[Object]) -> list[Object]:
    _, max_unavailable = limits(deployment)
    if status.get("availableReplicas", 0) >= replicas_of(deployment) - max_unavailable:
        reason, state, text = (
            "MinimumReplicasAvailable",
            "True",
            "Deployment has minimum availability.",
        )
    else:
        reason, state, text = (
            "MinimumReplicasUnavailable",
            "False",
            "Deployment does not have minimum availability.",
        )
    return _changed(known, "Available", state, reason, text)


def _changed(known: list[Object], kind: str, state: str, reason: str, text: str) -> list[Object]:
    """Return `known` with one condition set; lastUpdateTime moves only where something else does."""
    for old in known:
        if old["type"] == kind and (old["status"], old.get("reason"), old.get("message")) == (
            state,
            reason,
            text,
        ):
            return known
    return conditions.merged(known, kind, state, reason, text, lastUpdateTime=now())


def _with_progress(
    deployment: Object, new: Object | None, status: Object, known: list[Object]
) -> list[Object]:
    """Return the conditions with Progressing as Kubernetes' syncRolloutStatus sets it."""
    if deadline(deployment) is None:
        return conditions.without(known, "Progressing")
    before = deployment.get("status") or {}
    current = conditions.find({"status": {"conditions": known}}, "Progressing")
    name = new["metadata"]["name"] if new else deployment["metadata"]["name"]
    what = f'ReplicaSet "{name}"' if new else f'Deployment "{name}"'
    if (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and _reason(current) == NEW_SET_AVAILABLE
    ):
        return known
    if is_complete(deployment, status):
        text = f"{what} has successfully progressed."
        return _changed(known, "Progressing", "True", NEW_SET_AVAILABLE, text)
    if has_progressed(before, status):
        text = f"{what} is progressing."
        known = conditions.without(known, "Progressing") if _reason(current) == TIMED_OUT else known
        return conditions.merged(
            known, "Progressing", "True", "ReplicaSetUpdated", text, lastUpdateTime=now()
        )
    if seconds_to_deadline(deployment, known) == 0:
        return _changed(known, "Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.")
    return known


def _reason(condition: Object | None) -> str:
    return str((condition or {}).get("reason", ""))


def seconds_to_deadline(deployment: Object, known: list[Object]) -> float | None:
    """Return how long the rollout may still go without progress; None where it is not under way."""
    current = conditions.find({"status": {"conditions": known}}, "Progressing")
    limit = deadline(deployment)
    if (
        limit is None
        or current is None
        or _reason(current) in (NEW_SET_AVAILABLE, TIMED_OUT, "DeploymentPaused")
    ):
        return None
    return max(0.0, limit - seconds_since(current.get("lastUpdateTime") or current["lastTransitionTime"]))


def with_conditions(
    deployment: Object, new: Object | None, sets: list[Object], status: Object, *, progress: bool
) -> Object:
    """Return `status` with its conditions; without `progress` Progressing stays as it is (paused)."""
    known = (deployment.get("status") or {}).get("conditions") or []
    known = _with_availability(deployment, status, known)
    if progress:
        known = _with_progress(deployment, new, status, known)
    failures = [
        c for rs in sets if (c := conditions.find(rs, "ReplicaFailure")) and not pods.is_terminating(rs)
    ]
    if failures:
        failure = failures[0]
        known = _changed(
            known, "ReplicaFailure", failure["status"], failure.get("reason", ""), failure.get("message", "")
        )
    else:
        known = conditions.without(known, "ReplicaFailure")
    return {**status, "conditions": known}


def note_progress(deployment: Object, state: str, reason: str, text: str) -> list[Object]:
    """Return the Deployment's conditions with Progressing set to a step of the controller's own."""
    known = (deployment.get("status") or {}).get("conditions") or []
    if deadline(deployment) is None:
        return known
    return conditions.merged(known, "Progressing", state, reason, text, lastUpdateTime=now())
