"""The Kubernetes and Istio kinds that the one-machine API server holds."""

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as its JSON: apiVersion, kind, metadata, spec, status …"""


@dataclass(frozen=True)
class Resource:
    """One kind: where it stands in the API and under which names kubectl finds it."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version in which objects are stored; the others are accepted and served as well."""
        return self.versions[0]

    @property
    def api_version(self) -> str:
        """`apiVersion` of the stored objects."""
        return f"{self.group}/{self.version}" if self.group else self.version


_ALL = ("all",)
_ISTIO = ("istio-io", "networking-istio-io")
_SECURITY = ("istio-io", "security-istio-io")
_NETWORKING_VERSIONS = ("v1", "v1beta1", "v1alpha3")

RESOURCES: tuple[Resource, ...] = (
    Resource("", ("v1",), "Namespace", "namespaces", False, ("ns",), subresources=("status",)),
    Resource("", ("v1",), "Node", "nodes", False, ("no",), subresources=("status",)),
    Resource("", ("v1",), "Pod", "pods", True, ("po",), _ALL, ("status", "log", "exec")),
    Resource("", ("v1",), "Service", "services", True, ("svc",), _ALL, ("status",)),
    Resource("", ("v1",), "ServiceAccount", "serviceaccounts", True, ("sa",)),
    Resource("", ("v1",), "Secret", "secrets"),
    Resource("", ("v1",), "ConfigMap", "configmaps", True, ("cm",)),
    Resource("", ("v1",), "Event", "events", True, ("ev",)),
    Resource("apps", ("v1",), "Deployment", "deployments", True, ("deploy",), _ALL, ("status", "scale")),
    Resource("apps", ("v1",), "ReplicaSet", "replicasets", True, ("rs",), _ALL, ("status", "scale")),
    Resource("batch", ("v1",), "Job", "jobs", True, (), _ALL, ("status",)),
    Resource("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices"),
    Resource("coordination.k8s.io", ("v1",), "Lease", "leases"),
    Resource(
        "policy", ("v1",), "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), (), ("status",)
    ),
    Resource(
        "autoscaling",
        ("v2",),
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        True,
        ("hpa",),
        _ALL,
        ("status",),
    ),
    Resource("networking.k8s.io", ("v1",), "NetworkPolicy", "networkpolicies", True, ("netpol",)),
    Resource("rbac.authorization.k8s.io", ("v1",), "Role", "roles"),
    Resource("rbac.authorization.k8s.io", ("v1",), "RoleBinding", "rolebindings"),
    Resource("rbac.authorization.k8s.io", ("v1",), "ClusterRole", "clusterroles", False),
    Resource("rbac.authorization.k8s.io", ("v1",), "ClusterRoleBinding", "clusterrolebindings", False),
    Resource(
        "networking.istio.io",
        _NETWORKING_VERSIONS,
        "VirtualService",
        "virtualservices",
        True,
        ("vs",),
        _ISTIO,
    ),
    Resource(
        "networking.istio.io",
        _NETWORKING_VERSIONS,
        "DestinationRule",
        "destinationrules",
        True,
        ("dr",),
        _ISTIO,
    ),
    Resource("networking.istio.io", _NETWORKING_VERSIONS, "Gateway", "gateways", True, ("gw",), _ISTIO),
    Resource(
        "networking.istio.io", _NETWORKING_VERSIONS, "ServiceEntry", "serviceentries", True, ("se",), _ISTIO
    ),
    Resource(
        "security.istio.io",
        ("v1", "v1beta1"),
        "PeerAuthentication",
        "peerauthentications",
        True,
        ("pa",),
        _SECURITY,
    ),
    Resource(
        "security.istio.io",
        ("v1", "v1beta1"),
        "AuthorizationPolicy",
        "authorizationpolicies",
        True,
        ("ap",),
        _SECURITY,
    ),
    Resource("networking.istio.io", ("v1beta1",), "ProxyConfig", "proxyconfigs", True, (), _ISTIO),
    Resource("monitoring.coreos.com", ("v1",), "ServiceMonitor", "servicemonitors", True, ("smon",)),
)

BY_KIND: dict[str, Resource] = {resource.kind: resource for resource in RESOURCES}
"""The kinds by name; no two groups here share one."""


def resource_of(obj: Object) -> Resource | None:
    """Return the resource that `obj` is one of, or None where its apiVersion and kind are not known here."""
    resource = BY_KIND.get(str(obj.get("kind")))
    if resource is None:
        return None
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    return resource if group == resource.group and version in resource.versions else None
