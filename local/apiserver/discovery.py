"""Discovery: which groups, versions and resources there are (legacy and aggregated form)."""

from collections.abc import Iterable

from local.apiserver.schema import KUBERNETES
from local.kinds import RESOURCES, Object, Resource

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

REVIEWS: tuple[tuple[str, str, str], ...] = (
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
)
"""Questions about the caller that are answered, not stored: group, resource, kind (all v1)."""

_SUBRESOURCES: dict[str, tuple[str, str, list[str]]] = {
    "status": ("", "", ["get", "patch", "update"]),
    "scale": ("autoscaling/v1", "Scale", ["get", "patch", "update"]),
    "log": ("", "", ["get"]),
    "exec": ("v1", "PodExecOptions", ["create", "get"]),
}
"""Subresource -> apiVersion and kind where they differ from the parent's, verbs."""


def version() -> Object:
    """Return the answer of /version."""
    major, minor, _ = KUBERNETES.split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{KUBERNETES}+c756",
        "gitTreeState": "clean",
        "platform": "linux/amd64",
    }


def group_versions() -> dict[str, list[str]]:
    """Return the versions of each group, the preferred one first; the core group's name is empty."""
    found: dict[str, list[str]] = {}
    for resource in RESOURCES:
        known = found.setdefault(resource.group, [])
        known.extend(v for v in resource.versions if v not in known)
    for group, _, _ in REVIEWS:
        found.setdefault(group, ["v1"])
    return found


def resources_of(group: str, version: str) -> list[Resource]:
    """Return the resources that a group serves in one version."""
    return [r for r in RESOURCES if r.group == group and version in r.versions]


def api_versions() -> Object:
    """Return the answer of /api."""
    return {"kind": "APIVersions", "versions": group_versions()[""], "serverAddressByClientCIDRs": []}


def api_group(group: str) -> Object | None:
    """Return the answer of /apis/GROUP, None for a group that is not served."""
    versions = group_versions().get(group)
    if not group or versions is None:
        return None
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": group,
        "versions": listed,
        "preferredVersion": listed[0],
    }


def api_group_list() -> Object:
    """Return the answer of /apis."""
    groups = [api_group(group) for group in group_versions() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_resource_list(group: str, version: str) -> Object | None:
    """Return the answer of /api/v1 and /apis/GROUP/VERSION, None for one that is not served."""
    if version not in group_versions().get(group, ()):
        return None
    found: list[Object] = []
    for resource in resources_of(group, version):
        found.append(
            {
                "name": resource.plural,
                "singularName": resource.kind.lower(),
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": _VERBS,
                **_names(resource),
            }
        )
        for sub in resource.subresources:
            api_version, kind, verbs = _SUBRESOURCES[sub]
            entry: Object = {
                "name": f"{resource.plural}/{sub}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind or resource.kind,
                "verbs": verbs,
            }
            if "/" in api_version:
                entry["group"], entry["version"] = api_version.split("/")
            found.append(entry)
    found.extend(
        {"name": plural, "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
        for review_group, plural, kind in REVIEWS
        if review_group == group
    )
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": found,
    }


def aggregated(version: str, groups: Iterable[str]) -> Object:
    """Return an APIGroupDiscoveryList (apidiscovery.k8s.io/v2 or v2beta1) of `groups`."""
    known = group_versions()
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {"version": v, "freshness": "Current", "resources": _discovered(group, v)}
                    for v in known[group]
                ],
            }
            for group in groups
        ],
    }


def _discovered(group: str, version: str) -> list[Object]:
    found: list[Object] = []
    for resource in resources_of(group, version):
        entry: Object = {
            "resource": resource.plural,
            "responseKind": _kind(group, version, resource.kind),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.kind.lower(),
            "verbs": _VERBS,
            **_names(resource),
        }
        subresources = []
        for sub in resource.subresources:
            api_version, kind, verbs = _SUBRESOURCES[sub]
            sub_group, _, sub_version = api_version.rpartition("/") if api_version else (group, "", version)
            response = _kind(sub_group, sub_version, kind or resource.kind)
            subresources.append({"subresource": sub, "responseKind": response, "verbs": verbs})
        if subresources:
            entry["subresources"] = subresources
        found.append(entry)
    found.extend(
        {
            "resource": plural,
            "responseKind": _kind(group, version, kind),
            "scope": "Cluster",
            "singularResource": kind.lower(),
            "verbs": ["create"],
        }
        for review_group, plural, kind in REVIEWS
        if review_group == group
    )
    return found


def _names(resource: Resource) -> Object:
    names: Object = {}
    if resource.short_names:
        names["shortNames"] = list(resource.short_names)
    if resource.categories:
        names["categories"] = list(resource.categories)
    return names


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}
