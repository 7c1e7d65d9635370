"""Status conditions (metav1.Condition and its older kin)."""

from local.kinds import Object
from local.store import now


def find(obj: Object, kind: str) -> Object | None:
    """Return the condition of that type from an object's status, or None."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition["type"] == kind:
            return dict(condition)
    return None


def is_true(obj: Object, kind: str) -> bool:
    """Tell whether the object's status has that condition with the status True."""
    condition = find(obj, kind)
    return condition is not None and condition["status"] == "True"


def merged(
    conditions: list[Object], kind: str, status: str, reason: str = "", message: str = "", **times: str
) -> list[Object]:
    """Return `conditions` with one of them set.

    lastTransitionTime is kept while the status stays; `times` (lastUpdateTime, lastProbeTime …) are as given.
    """
    new: Object = {"type": kind, "status": status, **times}
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    new["lastTransitionTime"] = now()
    for old in conditions:
        if old["type"] == kind and old["status"] == status:
            new["lastTransitionTime"] = old.get("lastTransitionTime", new["lastTransitionTime"])
    kept = [new if old["type"] == kind else old for old in conditions]
    return kept if any(old["type"] == kind for old in conditions) else [*kept, new]


def without(conditions: list[Object], kind: str) -> list[Object]:
    """Return `conditions` without those of that type."""
    return [condition for condition in conditions if condition["type"] != kind]
