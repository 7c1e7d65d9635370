"""What the runner does with the fields of pods and of the objects that make pods.

A field is implemented, without effect here (with the reason), or refused.
"""

from collections.abc import Iterator
from typing import Any

from local.kinds import Object

_PROBE = (
    "exec.command",
    "httpGet",
    "tcpSocket",
    "initialDelaySeconds",
    "periodSeconds",
    "timeoutSeconds",
    "successThreshold",
    "failureThreshold",
    "terminationGracePeriodSeconds",
)
_CONTAINER = (
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "restartPolicy",
    "terminationMessagePolicy",
    "ports[].name",
    "ports[].containerPort",
    "ports[].protocol",
    "env[].name",
    "env[].value",
    "env[].valueFrom.secretKeyRef",
    "env[].valueFrom.configMapKeyRef",
    "env[].valueFrom.fieldRef",
    "envFrom",
    "volumeMounts[].name",
    "volumeMounts[].mountPath",
    "volumeMounts[].subPath",
    *(f"{kind}Probe.{field}" for kind in ("startup", "liveness", "readiness") for field in _PROBE),
    *(
        f"lifecycle.{hook}.{field}"
        for hook in ("postStart", "preStop")
        for field in ("exec.command", "httpGet", "tcpSocket", "sleep")
    ),
)
_FILES = ("name", "secretName", "items[].key", "items[].path", "optional")
_POD = (
    *(f"{field}[].{inner}" for field in ("initContainers", "containers") for inner in _CONTAINER),
    "volumes[].name",
    "volumes[].emptyDir",
    *(f"volumes[].{kind}.{field}" for kind in ("configMap", "secret") for field in _FILES),
    *(
        f"volumes[].projected.sources[].{kind}.{field}"
        for kind in ("configMap", "secret")
        for field in _FILES
    ),
    *(
        f"volumes[].{prefix}downwardAPI.items[].{field}"
        for prefix in ("", "projected.sources[].")
        for field in ("path", "fieldRef")
    ),
    "volumes[].projected.sources[].serviceAccountToken.path",
    "serviceAccountName",
    "serviceAccount",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "activeDeadlineSeconds",
    "hostname",
    "hostNetwork",
)

_ONE_NODE = "there is one node"
_ONE_USER = "every process runs as the one who runs the mesh"
_NO_NAMESPACES = "processes here share the machine's namespaces"
_MODE = "files are readable by the one who runs the mesh, and by nobody else"
_NO_LIMITS = "processes here share the machine's CPU and memory; it is read for the quality of service only"

_CONTAINER_WITHOUT_EFFECT = {
    "resources": _NO_LIMITS,
    "resizePolicy": _NO_LIMITS,
    "securityContext": _ONE_USER,
    "imagePullPolicy": "images are snapshots on this machine, and the newest one is taken",
    "terminationMessagePath": "use terminationMessagePolicy: FallbackToLogsOnError",
    "volumeMounts[].readOnly": _MODE,
}
_POD_WITHOUT_EFFECT = {
    **{
        f"{field}[].{inner}": reason
        for field in ("initContainers", "containers")
        for inner, reason in _CONTAINER_WITHOUT_EFFECT.items()
    },
    **{
        f"volumes[].{kind}.defaultMode": _MODE for kind in ("configMap", "secret", "projected", "downwardAPI")
    },
    "volumes[].configMap.items[].mode": _MODE,
    "volumes[].secret.items[].mode": _MODE,
    "resources": _NO_LIMITS,
    "overhead": _NO_LIMITS,
    "securityContext": _ONE_USER,
    "hostUsers": _ONE_USER,
    "hostPID": _NO_NAMESPACES,
    "hostIPC": _NO_NAMESPACES,
    "shareProcessNamespace": _NO_NAMESPACES,
    "runtimeClassName": "there is one way to run a process here",
    "os": "the machine's system is the pods'",
    "automountServiceAccountToken": "a pod gets a token by a projected volume only",
    "volumes[].projected.sources[].serviceAccountToken.expirationSeconds": "a token ends with the mesh",
    "imagePullSecrets": "images are snapshots on this machine",
    "enableServiceLinks": "no variables are made from Services",
    "dnsPolicy": "names are resolved by the sidecar",
    "affinity": _ONE_NODE,
    "nodeName": _ONE_NODE,
    "nodeSelector": _ONE_NODE,
    "tolerations": _ONE_NODE,
    "topologySpreadConstraints": _ONE_NODE,
    "schedulerName": _ONE_NODE,
    "priority": "pods do not displace each other",
    "priorityClassName": "pods do not displace each other",
    "preemptionPolicy": "pods do not displace each other",
}

_IMPLEMENTED: dict[str, tuple[str, ...]] = {
    "Deployment": (
        "replicas",
        "selector",
        "strategy",
        "minReadySeconds",
        "revisionHistoryLimit",
        "paused",
        "progressDeadlineSeconds",
    ),
    "ReplicaSet": ("replicas", "selector", "minReadySeconds"),
    "Job": (
        "parallelism",
        "completions",
        "completionMode",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
        "suspend",
        "selector",
        "manualSelector",
    ),
}

WITHOUT_EFFECT: dict[str, str] = {
    **{f"Pod.spec.{path}": reason for path, reason in _POD_WITHOUT_EFFECT.items()},
    "Job.spec.podReplacementPolicy": "a pod is replaced when it has ended",
}
"""Path -> why the field changes nothing here; a pod's also stand for those of pod templates."""

_REFUSED_VALUES = {
    ("Job", "completionMode", "Indexed"): "Indexed: only NonIndexed Jobs run here",
    ("Pod", "containers[].ports[].protocol", "UDP"): "UDP: only TCP is carried here",
    ("Pod", "containers[].ports[].protocol", "SCTP"): "SCTP: only TCP is carried here",
}

_REASON = "the one-machine mesh does not implement this field"


def _prefixes(paths: tuple[str, ...]) -> frozenset[str]:
    """Return the paths that lead to others: what is there has to be looked into."""
    found = set()
    for path in paths:
        steps = path.replace("[]", ".[]").split(".")
        for count in range(1, len(steps)):
            found.add(".".join(steps[:count]).replace(".[]", "[]"))
    return frozenset(found)


def _problems(
    kind: str, value: object, known: frozenset[str], inner: frozenset[str]
) -> Iterator[tuple[str, str]]:
    def walk(part: Any, pattern: str, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
        if pattern in known:
            reason = _REFUSED_VALUES.get((kind, pattern, part)) if isinstance(part, str) else None
            if reason:
                yield path, reason
        elif pattern and pattern not in inner:
            yield path, _REASON
        elif isinstance(part, dict):
            for name, entry in part.items():
                dot = "." if pattern else ""
                yield from walk(entry, f"{pattern}{dot}{name}", f"{path}.{name}")
        elif isinstance(part, list):
            for index, entry in enumerate(part):
                yield from walk(entry, f"{pattern}[]", f"{path}[{index}]")

    return walk(value, "", "")


_POD_PATHS = (*_POD, *_POD_WITHOUT_EFFECT)


def problems(obj: Object) -> list[tuple[str, str]]:
    """Return path and reason of each field of a Pod, Deployment, ReplicaSet or Job that is refused."""
    kind, spec = str(obj.get("kind")), obj.get("spec") or {}
    if kind == "Pod":
        return _of_pod(spec, "spec")
    if kind not in _IMPLEMENTED:
        return []
    own = {name: value for name, value in spec.items() if name != "template"}
    prefix = f"{kind}.spec."
    paths = (
        *_IMPLEMENTED[kind],
        *(path.removeprefix(prefix) for path in WITHOUT_EFFECT if path.startswith(prefix)),
    )
    found = [
        (f"spec{path}", reason) for path, reason in _problems(kind, own, frozenset(paths), _prefixes(paths))
    ]
    return found + _of_pod((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")


def _of_pod(spec: Object, where: str) -> list[tuple[str, str]]:
    found = _problems("Pod", spec, frozenset(_POD_PATHS), _prefixes(_POD_PATHS))
    return [(f"{where}{path}", reason) for path, reason in found]
