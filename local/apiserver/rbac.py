"""What a ServiceAccount may do, by Roles and their bindings: https://kubernetes.io/docs/reference/access-authn-authz/rbac/."""

from collections.abc import Iterator

from local.apiserver.requests import Target
from local.kinds import Object
from local.serviceaccounts import ServiceAccount
from local.store import Store, namespace_of

_ALL = "*"
_VERBS = {
    ("GET", True): "get",
    ("GET", False): "list",
    ("POST", False): "create",
    ("PUT", True): "update",
    ("PATCH", True): "patch",
    ("DELETE", True): "delete",
    ("DELETE", False): "deletecollection",
}


def verb_of(method: str, target: Target, *, watching: bool) -> str:
    """Return the verb by which rules call a request."""
    return "watch" if watching else _VERBS.get((method, target.name is not None), method.lower())


def allowed(store: Store, account: ServiceAccount, verb: str, target: Target) -> bool:
    """Tell whether a rule lets the account do this."""
    return any(_permits(rule, verb, target) for rule in _rules(store, account, target.space))


def _rules(store: Store, account: ServiceAccount, namespace: str) -> Iterator[Object]:
    """Yield the rules that hold for the account in a namespace ("": for all of the cluster)."""
    for binding in store.select("ClusterRoleBinding"):
        if _names(binding, account):
            yield from _rules_of(store, binding, "")
    for binding in store.select("RoleBinding", namespace) if namespace else ():
        if _names(binding, account):
            yield from _rules_of(store, binding, namespace_of(binding))


def _names(binding: Object, account: ServiceAccount) -> bool:
    return any(
        subject.get("kind") == "ServiceAccount"
        and subject.get("name") == account.name
        and subject.get("namespace") == account.namespace
        for subject in binding.get("subjects") or []
    )


def _rules_of(store: Store, binding: Object, namespace: str) -> list[Object]:
    role = binding["roleRef"]
    found = store.find(role["kind"], namespace if role["kind"] == "Role" else "", role["name"])
    rules: list[Object] = (found or {}).get("rules") or []
    return rules


def _permits(rule: Object, verb: str, target: Target) -> bool:
    resource = target.resource.plural + (f"/{target.subresource}" if target.subresource else "")
    names = rule.get("resourceNames")
    return (
        _covers(rule.get("verbs"), verb)
        and _covers(rule.get("apiGroups"), target.resource.group)
        and _covers(rule.get("resources"), resource)
        and (not names or target.name in names)
    )


def _covers(values: list[str] | None, wanted: str) -> bool:
    return wanted in (values or []) or _ALL in (values or [])
