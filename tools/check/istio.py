"""Istio's own rules about its objects, beyond their schemas.

``validate`` has what the API server (by the CustomResourceDefinitions) and istiod's webhook refuse about one
object alone. ``problems`` adds the references between objects, as ``istioctl analyze`` knows them.
"""

from collections.abc import Callable, Iterable

from tools.check import (
    destination_rule,
    gateway,
    problem,
    references,
    security,
    service_entry,
    virtual_service,
)
from tools.check.problem import Problem
from tools.check.spec import Found, Spec

_RULES: dict[tuple[str, str], Callable[[Spec], Found]] = {
    ("networking.istio.io", "DestinationRule"): destination_rule.validate,
    ("networking.istio.io", "Gateway"): gateway.validate,
    ("networking.istio.io", "ServiceEntry"): service_entry.validate,
    ("networking.istio.io", "VirtualService"): virtual_service.validate,
    ("security.istio.io", "AuthorizationPolicy"): security.authorization_policy,
    ("security.istio.io", "PeerAuthentication"): security.peer_authentication,
}


def validate(obj: Spec) -> list[Problem]:
    """What Istio refuses about one object that passed ``schema.errors``; nothing for others' kinds."""
    rule = _RULES.get((str(obj["apiVersion"]).partition("/")[0], str(obj["kind"])))
    if rule is None:
        return []
    found = (problem.of(obj, ["spec", *path], reason) for path, reason in rule(obj.get("spec") or {}))
    return list(dict.fromkeys(found))


def problems(
    objs: Iterable[Spec], context_objs: Iterable[Spec] = (), namespace: str = references.NAMESPACE
) -> list[Problem]:
    """What is wrong with the objects by Istio's rules, references included.

    Args:
        objs: objects to check; each passed ``schema.errors``.
        context_objs: what else there is or will be; ``objs`` take the place of those with their names.
        namespace: namespace of the objects that name none.
    """
    objs = list(objs)
    found = [item for obj in objs for item in validate(obj)]
    return found + references.problems(objs, context_objs, namespace)
