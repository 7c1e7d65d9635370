"""Label selectors as objects have them (metav1.LabelSelector)."""

from collections.abc import Mapping

from local.kinds import Object


def _meets(labels: Mapping[str, str], requirement: Object) -> bool:
    key, operator = requirement["key"], requirement["operator"]
    values = requirement.get("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    raise ValueError(f"matchExpressions: operator {operator!r}: In, NotIn, Exists or DoesNotExist")


def selects(selector: Object | None, labels: Mapping[str, str] | None) -> bool:
    """Tell whether `selector` selects an object with these labels; none or an empty one selects nothing here.

    Raises ValueError for an operator that Kubernetes does not know.
    """
    wanted = (selector or {}).get("matchLabels") or {}
    expressions = (selector or {}).get("matchExpressions") or []
    if not wanted and not expressions:
        return False
    own = labels or {}
    return all(own.get(k) == v for k, v in wanted.items()) and all(_meets(own, e) for e in expressions)
