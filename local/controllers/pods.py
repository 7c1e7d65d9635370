"""What controllers ask of a pod."""

from local.controllers import conditions
from local.controllers.times import seconds_since
from local.kinds import Object


def phase(pod: Object) -> str:
    """Return status.phase; a pod that nobody has looked at yet is Pending."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_terminating(obj: Object) -> bool:
    """Tell whether the object's deletion was asked for."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    """Tell whether a pod counts as a replica: it has not ended and is not being deleted."""
    return phase(pod) not in ("Succeeded", "Failed") and not is_terminating(pod)


def is_ready(pod: Object) -> bool:
    """Tell whether a pod is ready for requests."""
    return conditions.is_true(pod, "Ready")


def seconds_until_available(pod: Object, min_ready_seconds: int) -> float | None:
    """Return how long a pod has to stay ready to count as available (0: it does); None: not ready."""
    ready = conditions.find(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready_seconds:
        return 0.0
    return max(0.0, min_ready_seconds - seconds_since(ready["lastTransitionTime"]))


def restarts(pod: Object) -> int:
    """Return how often the pod's containers were restarted in total."""
    return sum(s.get("restartCount", 0) for s in (pod.get("status") or {}).get("containerStatuses") or [])
