"""Questions about the caller: there is one user, who may do everything."""

from local.kinds import Object

USER = "c756-admin"
_ALL = ["*"]


def answer(kind: str, question: object) -> Object:
    """Return a SelfSubject…Review with its status."""
    asked = question if isinstance(question, dict) else {}
    group = "authentication.k8s.io" if kind == "SelfSubjectReview" else "authorization.k8s.io"
    return {
        "kind": kind,
        "apiVersion": f"{group}/v1",
        "metadata": {},
        "spec": asked.get("spec", {}),
        "status": _STATUS[kind],
    }


_STATUS: dict[str, Object] = {
    "SelfSubjectAccessReview": {
        "allowed": True,
        "reason": "the one-machine mesh has one user, who may do all",
    },
    "SelfSubjectRulesReview": {
        "resourceRules": [{"verbs": _ALL, "apiGroups": _ALL, "resources": _ALL}],
        "nonResourceRules": [{"verbs": _ALL, "nonResourceURLs": _ALL}],
        "incomplete": False,
    },
    "SelfSubjectReview": {"userInfo": {"username": USER, "groups": ["system:masters"]}},
}
