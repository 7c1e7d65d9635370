"""metav1.Table: the columns that `kubectl get` prints.

Columns and cells: pkg/printers/internalversion/printers.go of Kubernetes for its own kinds, the
additionalPrinterColumns of Istio's and the Prometheus operator's custom resource definitions for theirs.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.kinds import Object

Cell = str | int
_NONE, _UNSET, _UNKNOWN = "<none>", "<unset>", "<unknown>"


@dataclass(frozen=True)
class Column:
    """One column; `wide` ones are printed with `-o wide` only."""

    name: str
    cell: Callable[[Object], Cell]
    type: str = "string"
    wide: bool = False

    def definition(self) -> Object:
        """Return the metav1.TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else "",
            "description": "",
            "priority": int(self.wide),
        }


def get(obj: Any, path: str, default: Any = None) -> Any:  # noqa: ANN401 - JSON
    """Return what stands under a dotted `path` (a number is a list's index), `default` where nothing does."""
    for step in path.split("."):
        if isinstance(obj, Mapping):
            obj = obj.get(step)
        elif isinstance(obj, list) and step.isdecimal() and int(step) < len(obj):
            obj = obj[int(step)]
        else:
            return default
    return default if obj is None else obj


def human_duration(seconds: float) -> str:
    """Return a duration as kubectl prints it (k8s.io/apimachinery/pkg/util/duration.HumanDuration)."""
    total = int(seconds)
    if total < 0:
        return "0s" if total == -1 else "<invalid>"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    years = days // 365
    steps = (
        (total < 120, f"{total}s"),
        (minutes < 10, _two(minutes, "m", total % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _two(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (days < 8, _two(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (years < 8, _two(years, "y", days % 365, "d")),
    )
    return next((text for fits, text in steps if fits), f"{years}y")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def _time(text: object) -> datetime | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since(text: object) -> str:
    """Return how long ago an RFC 3339 time was."""
    start = _time(text)
    return _UNKNOWN if start is None else human_duration((datetime.now(UTC) - start).total_seconds())


def _field(path: str, default: Cell = "") -> Callable[[Object], Cell]:
    return lambda obj: get(obj, path, default)


def _name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Object) -> str:
    return since(obj["metadata"].get("creationTimestamp"))


def _joined(items: Iterable[object]) -> str:
    return ",".join(str(item) for item in items) or _NONE


def _listed(path: str) -> Callable[[Object], str]:
    """Print a list as kubectl prints a custom resource's JSON path that yields one."""
    return lambda obj: json.dumps(get(obj, path, []), separators=(",", ":")) if get(obj, path) else ""


def _pairs(labels: Mapping[str, object] | None) -> str:
    return _joined(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Return a metav1.LabelSelector as text (metav1.FormatLabelSelector)."""
    if selector is None:
        return _NONE
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or []:
        key, operator = term.get("key"), term.get("operator")
        values = ",".join(sorted(term.get("values") or []))
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": f"{key}",
                "DoesNotExist": f"!{key}",
            }.get(operator, "")
        )
    return ",".join(sorted(terms)) or _NONE


_NAME = Column("Name", _name)
_AGE = Column("Age", _age)


def _template_columns(selector: Callable[[Object], Cell]) -> tuple[Column, ...]:
    return (
        Column("Containers", lambda o: _joined(c.get("name") for c in _app_containers(o)), wide=True),
        Column("Images", lambda o: _joined(c.get("image") for c in _app_containers(o)), wide=True),
        Column("Selector", selector, wide=True),
    )


def _app_containers(obj: Object) -> list[Object]:
    return list(get(obj, "spec.template.spec.containers", []))


def _label_selector(obj: Object) -> str:
    return selector_text(get(obj, "spec.selector"))


# Pods: printPod


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _statuses(pod: Object, field: str) -> dict[str, Object]:
    return {status.get("name", ""): status for status in get(pod, f"status.{field}", [])}


def _counted(pod: Object) -> list[Object]:
    """Return the statuses of the containers that READY counts: the containers and the native sidecars."""
    sidecars = {c.get("name") for c in get(pod, "spec.initContainers", []) if _is_sidecar(c)}
    inits = _statuses(pod, "initContainerStatuses")
    return [inits[name] for name in inits if name in sidecars] + list(
        get(pod, "status.containerStatuses", [])
    )


def _pod_ready(pod: Object) -> str:
    sidecars = [c for c in get(pod, "spec.initContainers", []) if _is_sidecar(c)]
    total = len(get(pod, "spec.containers", [])) + len(sidecars)
    ready = sum(bool(s.get("ready") and get(s, "state.running") is not None) for s in _counted(pod))
    return f"{ready}/{total}"


def _pod_restarts(pod: Object) -> str:
    statuses = _counted(pod)
    if _initializing(pod) is not None:
        statuses = get(pod, "status.initContainerStatuses", [])
    restarts = sum(int(s.get("restartCount", 0)) for s in statuses)
    ends = [t for s in statuses if (t := _time(get(s, "lastState.terminated.finishedAt"))) is not None]
    if not restarts or not ends:
        return str(restarts)
    return f"{restarts} ({human_duration((datetime.now(UTC) - max(ends)).total_seconds())} ago)"


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _initializing(pod: Object) -> str | None:
    """Return the STATUS of a pod whose init containers are not through, None for the others."""
    containers = {c.get("name"): c for c in get(pod, "spec.initContainers", [])}
    for i, status in enumerate(get(pod, "status.initContainerStatuses", [])):
        terminated, waiting = get(status, "state.terminated"), get(status, "state.waiting")
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if _is_sidecar(containers.get(status.get("name"), {})) and status.get("started"):
            continue
        if terminated is not None:
            return f"Init:{_ended(terminated)}"
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{i}/{len(containers)}"
    return None


def pod_status(pod: Object) -> str:
    """Return the STATUS column of a pod."""
    reason = str(get(pod, "status.reason", "") or get(pod, "status.phase", _UNKNOWN))
    for condition in get(pod, "status.conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    initializing = _initializing(pod)
    if initializing is not None:
        reason = initializing
    if initializing is None or _condition(pod, "Initialized") == "True":
        running = False
        for status in reversed(get(pod, "status.containerStatuses", [])):
            waiting, terminated = get(status, "state.waiting"), get(status, "state.terminated")
            if waiting is not None and waiting.get("reason"):
                reason = waiting["reason"]
            elif terminated is not None:
                reason = _ended(terminated)
            elif status.get("ready") and get(status, "state.running") is not None:
                running = True
        if reason == "Completed" and running:
            reason = "Running" if _condition(pod, "Ready") == "True" else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        if get(pod, "status.reason") == "NodeLost":
            return "Unknown"
        if get(pod, "status.phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def _condition(obj: Object, kind: str) -> str:
    found = [c.get("status", "") for c in get(obj, "status.conditions", []) if c.get("type") == kind]
    return str(found[0]) if found else ""


def _readiness_gates(pod: Object) -> str:
    gates = [gate.get("conditionType") for gate in get(pod, "spec.readinessGates", [])]
    if not gates:
        return _NONE
    return f"{sum(_condition(pod, gate) == 'True' for gate in gates)}/{len(gates)}"


# Services, endpoints


def _external_ip(service: Object) -> str:
    kind, ips = get(service, "spec.type", "ClusterIP"), list(get(service, "spec.externalIPs", []))
    if kind == "ExternalName":
        return str(get(service, "spec.externalName", ""))
    if kind == "LoadBalancer":
        found = [i.get("ip") or i.get("hostname") for i in get(service, "status.loadBalancer.ingress", [])]
        return ",".join([*(str(i) for i in found), *ips]) or "<pending>"
    return ",".join(ips) or _NONE


def _service_ports(service: Object) -> str:
    return _joined(
        f"{p.get('port')}:{p['nodePort']}/{p.get('protocol', 'TCP')}"
        if p.get("nodePort")
        else f"{p.get('port')}/{p.get('protocol', 'TCP')}"
        for p in get(service, "spec.ports", [])
    )


def _slice_ports(endpoint_slice: Object) -> str:
    ports = [p.get("port") for p in endpoint_slice.get("ports") or []]
    return _first(["*" if port is None else str(port) for port in ports], 3) if ports else _UNSET


def _slice_endpoints(endpoint_slice: Object) -> str:
    found = [a for e in endpoint_slice.get("endpoints") or [] for a in e.get("addresses", [])]
    return _first(found, 3) if found else _UNSET


def _first(items: list[str], limit: int) -> str:
    shown = ",".join(items[:limit])
    return f"{shown} + {len(items) - limit} more..." if len(items) > limit else shown


# Jobs


def _job_status(job: Object) -> str:
    for kind, text in (("Complete", "Complete"), ("Failed", "Failed")):
        if _condition(job, kind) == "True":
            return text
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if _condition(job, kind) == "True":
            return kind
    return "Running"


def _job_completions(job: Object) -> str:
    done, wanted = get(job, "status.succeeded", 0), get(job, "spec.completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallelism = get(job, "spec.parallelism", 0)
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job_duration(job: Object) -> str:
    start = _time(get(job, "status.startTime"))
    if start is None:
        return ""
    end = _time(get(job, "status.completionTime"))
    if end is None:
        failed = [c for c in get(job, "status.conditions", []) if c.get("type") == "Failed"]
        end = _time(failed[0].get("lastTransitionTime")) if failed else None
    return human_duration(((end or datetime.now(UTC)) - start).total_seconds())


# Events


def _last_seen(event: Object) -> str:
    last = event.get("lastTimestamp") or get(event, "series.lastObservedTime") or event.get("eventTime")
    return since(last or event["metadata"].get("creationTimestamp"))


def _first_seen(event: Object) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"))


def _event_object(event: Object) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _event_source(event: Object) -> str:
    source = event.get("source") or {}
    return ", ".join(str(s) for s in (source.get("component"), source.get("host")) if s)


# The rest


def _node_status(node: Object) -> str:
    ready = {"True": "Ready", "": "Unknown"}.get(_condition(node, "Ready"), "NotReady")
    return f"{ready},SchedulingDisabled" if get(node, "spec.unschedulable") else ready


def _node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return _joined(sorted(label.removeprefix(prefix) for label in labels if label.startswith(prefix)))


def _node_address(kind: str) -> Callable[[Object], str]:
    def cell(node: Object) -> str:
        found = [a["address"] for a in get(node, "status.addresses", []) if a.get("type") == kind]
        return str(found[0]) if found else _NONE

    return cell


def _metrics(autoscaler: Object) -> str:
    shown = []
    for metric in get(autoscaler, "spec.metrics", []):
        source = metric.get(str(metric.get("type", "")).lower()) or {}
        goal = source.get("target") or {}
        if "averageUtilization" in goal:
            text = f"{_UNKNOWN}/{goal['averageUtilization']}%"
        else:
            text = f"{_UNKNOWN}/{goal.get('averageValue', goal.get('value', ''))}"
        shown.append(f"{source['name']}: {text}" if metric.get("type") == "Resource" else text)
    return ", ".join(shown) or _UNKNOWN


def _subjects(kind: str) -> Callable[[Object], str]:
    def cell(binding: Object) -> str:
        found = [s for s in binding.get("subjects") or [] if s.get("kind") == kind]
        return ", ".join(
            f"{s.get('namespace', '')}/{s['name']}" if kind == "ServiceAccount" else s["name"] for s in found
        )

    return cell


def _role(binding: Object) -> str:
    reference = binding.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


_BINDING = (
    _NAME,
    Column("Role", _role),
    _AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)
_CREATED = Column("Created At", _field("metadata.creationTimestamp"))

_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "Pod": (
        _NAME,
        Column("Ready", _pod_ready),
        Column("Status", pod_status),
        Column("Restarts", _pod_restarts),
        _AGE,
        Column("IP", _field("status.podIP", _NONE), wide=True),
        Column("Node", _field("spec.nodeName", _NONE), wide=True),
        Column("Nominated Node", _field("status.nominatedNodeName", _NONE), wide=True),
        Column("Readiness Gates", _readiness_gates, wide=True),
    ),
    "Deployment": (
        _NAME,
        Column("Ready", lambda o: f"{get(o, 'status.readyReplicas', 0)}/{get(o, 'spec.replicas', 0)}"),
        Column("Up-to-date", _field("status.updatedReplicas", 0), "integer"),
        Column("Available", _field("status.availableReplicas", 0), "integer"),
        _AGE,
        *_template_columns(_label_selector),
    ),
    "ReplicaSet": (
        _NAME,
        Column("Desired", _field("spec.replicas", 0), "integer"),
        Column("Current", _field("status.replicas", 0), "integer"),
        Column("Ready", _field("status.readyReplicas", 0), "integer"),
        _AGE,
        *_template_columns(_label_selector),
    ),
    "Job": (
        _NAME,
        Column("Status", _job_status),
        Column("Completions", _job_completions),
        Column("Duration", _job_duration),
        _AGE,
        *_template_columns(_label_selector),
    ),
    "Service": (
        _NAME,
        Column("Type", _field("spec.type")),
        Column("Cluster-IP", _field("spec.clusterIP", _NONE)),
        Column("External-IP", _external_ip),
        Column("Port(s)", _service_ports),
        _AGE,
        Column("Selector", lambda o: _pairs(get(o, "spec.selector")), wide=True),
    ),
    "EndpointSlice": (
        _NAME,
        Column("AddressType", _field("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        _AGE,
    ),
    "Namespace": (_NAME, Column("Status", _field("status.phase")), _AGE),
    "Node": (
        _NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        _AGE,
        Column("Version", _field("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _field("status.nodeInfo.osImage", _UNKNOWN), wide=True),
        Column("Kernel-Version", _field("status.nodeInfo.kernelVersion", _UNKNOWN), wide=True),
        Column("Container-Runtime", _field("status.nodeInfo.containerRuntimeVersion", _UNKNOWN), wide=True),
    ),
    "ServiceAccount": (_NAME, Column("Secrets", lambda o: len(o.get("secrets") or []), "integer"), _AGE),
    "Secret": (
        _NAME,
        Column("Type", _field("type")),
        Column("Data", lambda o: len(o.get("data") or {}), "integer"),
        _AGE,
    ),
    "ConfigMap": (
        _NAME,
        Column("Data", lambda o: len(o.get("data") or {}) + len(o.get("binaryData") or {}), "integer"),
        _AGE,
    ),
    "Event": (
        Column("Last Seen", _last_seen),
        Column("Type", _field("type")),
        Column("Reason", _field("reason")),
        Column("Object", _event_object),
        Column("Subobject", _field("involvedObject.fieldPath"), wide=True),
        Column("Source", _event_source, wide=True),
        Column("Message", lambda o: str(o.get("message", "")).strip()),
        Column("First Seen", _first_seen, wide=True),
        Column("Count", lambda o: int(o.get("count") or 1), "integer", wide=True),
        Column("Name", _name, wide=True),
    ),
    "Lease": (_NAME, Column("Holder", _field("spec.holderIdentity")), _AGE),
    "PodDisruptionBudget": (
        _NAME,
        Column("Min Available", _field("spec.minAvailable", "N/A")),
        Column("Max Unavailable", _field("spec.maxUnavailable", "N/A")),
        Column("Allowed Disruptions", _field("status.disruptionsAllowed", 0), "integer"),
        _AGE,
    ),
    "HorizontalPodAutoscaler": (
        _NAME,
        Column(
            "Reference",
            lambda o: f"{get(o, 'spec.scaleTargetRef.kind')}/{get(o, 'spec.scaleTargetRef.name')}",
        ),
        Column("Targets", _metrics),
        Column("MinPods", lambda o: str(get(o, "spec.minReplicas", _UNSET))),
        Column("MaxPods", _field("spec.maxReplicas", 0), "integer"),
        Column("Replicas", _field("status.currentReplicas", 0), "integer"),
        _AGE,
    ),
    "NetworkPolicy": (
        _NAME,
        Column("Pod-Selector", lambda o: selector_text(get(o, "spec.podSelector"))),
        _AGE,
    ),
    "Role": (_NAME, _CREATED),
    "ClusterRole": (_NAME, _CREATED),
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "VirtualService": (
        _NAME,
        Column("Gateways", _listed("spec.gateways")),
        Column("Hosts", _listed("spec.hosts")),
        _AGE,
    ),
    "DestinationRule": (_NAME, Column("Host", _field("spec.host")), _AGE),
    "ServiceEntry": (
        _NAME,
        Column("Hosts", _listed("spec.hosts")),
        Column("Location", _field("spec.location")),
        Column("Resolution", _field("spec.resolution")),
        _AGE,
    ),
    "PeerAuthentication": (_NAME, Column("Mode", _field("spec.mtls.mode")), _AGE),
    "AuthorizationPolicy": (_NAME, Column("Action", _field("spec.action")), _AGE),
}
_DEFAULT = (_NAME, _AGE)


def table(
    kind: str,
    objects: Iterable[Object],
    *,
    include: str = "Metadata",
    version: str = "v1",
    definitions: bool = True,
    metadata: Object | None = None,
) -> Object:
    """Return objects of one kind as a metav1.Table.

    `include` is what each row carries beside its cells: Metadata, Object or None. A watch's later tables
    leave the column definitions out.
    """
    columns = _COLUMNS.get(kind, _DEFAULT)
    rows = []
    for obj in objects:
        row: Object = {"cells": [column.cell(obj) for column in columns]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = partial(obj)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata or {},
        "columnDefinitions": [column.definition() for column in columns] if definitions else None,
        "rows": rows,
    }


def partial(obj: Object) -> Object:
    """Return a metav1.PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }
