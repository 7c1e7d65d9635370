"""Kinds and fields that the API server stores although they are without effect on one machine."""

from local.kinds import Object

WITHOUT_EFFECT_KINDS: dict[str, str] = {
    "NetworkPolicy": "every pod's address is on the loopback, which no packet filter of the mesh touches",
    "PodDisruptionBudget": "nothing evicts pods here; rolling updates keep to the Deployment's own limits",
    "HorizontalPodAutoscaler": "no metrics of pods' CPU and memory are taken; scale with kubectl scale",
    "ProxyConfig": "every sidecar here has one worker thread",
    "PeerAuthentication": "sidecars speak plaintext on the loopback, so there is no mTLS to ask for",
    "AuthorizationPolicy": "sidecars speak plaintext, so there are no identities to decide by",
    "Lease": "there is one of each controller, so none asks who leads",
}
"""Kind -> why an object of it changes nothing here."""

WITHOUT_EFFECT: dict[str, str] = {
    "Service.spec.clusterIP": "a name for people: sidecars go straight to the pods",
    "Service.spec.ports[].nodePort": "nothing listens there: the ingress has its own port",
    "Service.spec.externalTrafficPolicy": "there is one node",
    "Service.spec.internalTrafficPolicy": "there is one node",
    "Service.spec.allocateLoadBalancerNodePorts": "nothing listens on node ports",
    "Service.spec.ipFamilies": "pods have IPv4 addresses on the loopback",
    "Service.spec.ipFamilyPolicy": "pods have IPv4 addresses on the loopback",
    "Namespace.spec.finalizers": "contents are always deleted before their namespace",
}
"""Path -> why the field changes nothing here."""

_REFUSED = {
    "Service": {
        "sessionAffinity": ("ClientIP", "session affinity is not there; balance with a DestinationRule"),
    }
}
"""Kind -> field of spec -> a value that is refused, and why."""


def problems(obj: Object) -> list[tuple[str, str]]:
    """Return path and reason of what an object asks for and the mesh cannot do."""
    spec = obj.get("spec") or {}
    return [
        (f"spec.{field}", f"{value}: the one-machine mesh refuses it: {why}")
        for field, (value, why) in _REFUSED.get(str(obj.get("kind")), {}).items()
        if spec.get(field) == value
    ]
