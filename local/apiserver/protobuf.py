"""Kubernetes' protobuf encoding of requests, which typed clients send: `kubectl create`, Helm's releases.

The answer is always JSON, which they take as well. Form: the four bytes `k8s\\0` and a runtime.Unknown
message (Kubernetes' API concepts, "Protobuf encoding"); field numbers: generated.proto of k8s.io/api and
k8s.io/apimachinery. Here are the messages that such clients make; an object with others must come as JSON.
"""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from local.apiserver.errors import ApiError, bad_request
from local.kinds import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# A field is `name:type`, repeated where it ends in `*`; `?` keeps a zero, as a pointer does in Go.
_MESSAGES: dict[str, dict[int, str]] = {
    "ObjectMeta": {
        1: "name:string",
        2: "generateName:string",
        3: "namespace:string",
        4: "selfLink:string",
        5: "uid:string",
        6: "resourceVersion:string",
        7: "generation:int",
        8: "creationTimestamp:time",
        9: "deletionTimestamp:time",
        10: "deletionGracePeriodSeconds:int?",
        11: "labels:map",
        12: "annotations:map",
        13: "ownerReferences:OwnerReference*",
        14: "finalizers:string*",
        17: "managedFields:ManagedFieldsEntry*",
    },
    "OwnerReference": {
        1: "kind:string",
        3: "name:string",
        4: "uid:string",
        5: "apiVersion:string",
        6: "controller:bool?",
        7: "blockOwnerDeletion:bool?",
    },
    "ManagedFieldsEntry": {
        1: "manager:string",
        2: "operation:string",
        3: "apiVersion:string",
        4: "time:time",
        6: "fieldsType:string",
        7: "fieldsV1:FieldsV1",
        8: "subresource:string",
    },
    "LabelSelector": {1: "matchLabels:map", 2: "matchExpressions:LabelSelectorRequirement*"},
    "LabelSelectorRequirement": {1: "key:string", 2: "operator:string", 3: "values:string*"},
    "DeleteOptions": {
        1: "gracePeriodSeconds:int?",
        2: "preconditions:Preconditions",
        3: "orphanDependents:bool?",
        4: "propagationPolicy:string",
        5: "dryRun:string*",
    },
    "Preconditions": {1: "uid:string", 2: "resourceVersion:string"},
    "Namespace": {1: "metadata:ObjectMeta", 2: "spec:NamespaceSpec", 3: "status:NamespaceStatus"},
    "NamespaceSpec": {1: "finalizers:string*"},
    "NamespaceStatus": {1: "phase:string"},
    "Secret": {
        1: "metadata:ObjectMeta",
        2: "data:bytes-map",
        3: "type:string",
        4: "stringData:map",
        5: "immutable:bool?",
    },
    "ConfigMap": {1: "metadata:ObjectMeta", 2: "data:map", 3: "binaryData:bytes-map", 4: "immutable:bool?"},
    "ServiceAccount": {
        1: "metadata:ObjectMeta",
        3: "imagePullSecrets:LocalObjectReference*",
        4: "automountServiceAccountToken:bool?",
    },
    "LocalObjectReference": {1: "name:string"},
    "Service": {1: "metadata:ObjectMeta", 2: "spec:ServiceSpec"},
    "ServiceSpec": {
        1: "ports:ServicePort*",
        2: "selector:map",
        3: "clusterIP:string",
        4: "type:string",
        5: "externalIPs:string*",
        7: "sessionAffinity:string",
        10: "externalName:string",
        11: "externalTrafficPolicy:string",
    },
    "ServicePort": {
        1: "name:string",
        2: "protocol:string",
        3: "port:int",
        4: "targetPort:int-or-string",
        5: "nodePort:int",
        6: "appProtocol:string",
    },
    "Deployment": {1: "metadata:ObjectMeta", 2: "spec:DeploymentSpec"},
    "DeploymentSpec": {
        1: "replicas:int?",
        2: "selector:LabelSelector",
        3: "template:PodTemplateSpec",
        5: "minReadySeconds:int",
        6: "revisionHistoryLimit:int?",
        7: "paused:bool",
        9: "progressDeadlineSeconds:int?",
    },
    "Job": {1: "metadata:ObjectMeta", 2: "spec:JobSpec"},
    "JobSpec": {
        1: "parallelism:int?",
        2: "completions:int?",
        3: "activeDeadlineSeconds:int?",
        6: "template:PodTemplateSpec",
        7: "backoffLimit:int?",
        8: "ttlSecondsAfterFinished:int?",
    },
    "PodTemplateSpec": {1: "metadata:ObjectMeta", 2: "spec:PodSpec"},
    "PodSpec": {2: "containers:Container*", 3: "restartPolicy:string", 8: "serviceAccountName:string"},
    "Container": {
        1: "name:string",
        2: "image:string",
        3: "command:string*",
        4: "args:string*",
        5: "workingDir:string",
        6: "ports:ContainerPort*",
        14: "imagePullPolicy:string",
    },
    "ContainerPort": {
        1: "name:string",
        2: "hostPort:int",
        3: "containerPort:int",
        4: "protocol:string",
        5: "hostIP:string",
    },
    "Role": {1: "metadata:ObjectMeta", 2: "rules:PolicyRule*"},
    "ClusterRole": {1: "metadata:ObjectMeta", 2: "rules:PolicyRule*"},
    "PolicyRule": {
        1: "verbs:string*",
        2: "apiGroups:string*",
        3: "resources:string*",
        4: "resourceNames:string*",
        5: "nonResourceURLs:string*",
    },
    "RoleBinding": {1: "metadata:ObjectMeta", 2: "subjects:Subject*", 3: "roleRef:RoleRef"},
    "ClusterRoleBinding": {1: "metadata:ObjectMeta", 2: "subjects:Subject*", 3: "roleRef:RoleRef"},
    "Subject": {1: "kind:string", 2: "apiGroup:string", 3: "name:string", 4: "namespace:string"},
    "RoleRef": {1: "apiGroup:string", 2: "kind:string", 3: "name:string"},
    "PodDisruptionBudget": {1: "metadata:ObjectMeta", 2: "spec:PodDisruptionBudgetSpec"},
    "PodDisruptionBudgetSpec": {
        1: "minAvailable:int-or-string",
        2: "selector:LabelSelector",
        3: "maxUnavailable:int-or-string",
    },
    "HorizontalPodAutoscaler": {1: "metadata:ObjectMeta", 2: "spec:HorizontalPodAutoscalerSpec"},
    "HorizontalPodAutoscalerSpec": {
        1: "scaleTargetRef:CrossVersionObjectReference",
        2: "minReplicas:int?",
        3: "maxReplicas:int",
        4: "metrics:MetricSpec*",
    },
    "CrossVersionObjectReference": {1: "kind:string", 2: "name:string", 3: "apiVersion:string"},
    "MetricSpec": {1: "type:string", 4: "resource:ResourceMetricSource"},
    "ResourceMetricSource": {1: "name:string", 2: "target:MetricTarget"},
    "MetricTarget": {1: "type:string", 4: "averageUtilization:int?"},
    "SelfSubjectReview": {1: "metadata:ObjectMeta"},
    "SelfSubjectAccessReview": {1: "metadata:ObjectMeta", 2: "spec:SelfSubjectAccessReviewSpec"},
    "SelfSubjectAccessReviewSpec": {
        1: "resourceAttributes:ResourceAttributes",
        2: "nonResourceAttributes:NonResourceAttributes",
    },
    "ResourceAttributes": {
        1: "namespace:string",
        2: "verb:string",
        3: "group:string",
        4: "version:string",
        5: "resource:string",
        6: "subresource:string",
        7: "name:string",
    },
    "NonResourceAttributes": {1: "path:string", 2: "verb:string"},
    "SelfSubjectRulesReview": {1: "metadata:ObjectMeta", 2: "spec:SelfSubjectRulesReviewSpec"},
    "SelfSubjectRulesReviewSpec": {1: "namespace:string"},
}

Value = int | bytes


def decode(data: bytes) -> Object:
    """Return the object that a request's body holds; raises ApiError (400 malformed, 415 not known here)."""
    if not data.startswith(_MAGIC):
        raise bad_request("the body does not begin as Kubernetes' protobuf encoding does")
    try:
        unknown = dict(_fields(data[len(_MAGIC) :]))
        kind_of = {number: _text(value) for number, value in _fields(_bytes(unknown.get(1, b"")))}
        kind, raw = kind_of.get(2, ""), _bytes(unknown.get(2, b""))
        if kind not in _MESSAGES:
            raise _not_known(f"kind {kind}")
        return {"apiVersion": kind_of.get(1, ""), "kind": kind, **_message(kind, raw)}
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise bad_request(f"the body's protobuf encoding is malformed: {error}") from None


def _not_known(what: str) -> ApiError:
    text = f"{what} is not understood in protobuf here: send application/json (kubectl apply does)"
    return ApiError(415, "UnsupportedMediaType", text)


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yield a message's fields in the wire format's order: number, and a varint or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, len(data) + 1)
        if at + size > len(data):
            raise IndexError(f"field {number} ends after the message")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _message(name: str, data: bytes) -> Object:
    known = _MESSAGES[name]
    found: Object = {}
    for number, value in _fields(data):
        if number not in known:
            # A field that is not a pointer in Go is sent with its zero value.
            if _says_something(value):
                raise _not_known(f"field {number} of {name}")
            continue
        field, _, kind = known[number].partition(":")
        if kind.endswith("*"):
            found.setdefault(field, []).append(_value(kind[:-1], value))
        elif kind in ("map", "bytes-map"):
            entry = dict(_fields(_bytes(value)))
            text = _value("bytes" if kind == "bytes-map" else "string", entry.get(2, b""))
            found.setdefault(field, {})[_text(entry.get(1, b""))] = text
        else:
            plain = _value(kind.removesuffix("?"), value)
            if kind.endswith("?") or plain or kind == "int-or-string":
                found[field] = plain
    return found


def _says_something(value: Value) -> bool:
    """Tell whether a value is more than a zero, or a message of zeros."""
    if isinstance(value, int):
        return value != 0
    if not value:
        return False
    try:
        return any(_says_something(below) for _, below in _fields(value))
    except IndexError:
        return True


def _value(kind: str, value: Value) -> object:
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    if kind == "FieldsV1":
        return _fields_v1(_bytes(value))
    return _message(kind, _bytes(value))


def _fields_v1(data: bytes) -> object:
    raw = dict(_fields(data)).get(1, b"")
    return json.loads(_bytes(raw) or b"{}")


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number stands where bytes belong")
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError("bytes stand where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(value: Value) -> str:
    return _bytes(value).decode()


def _time(value: Value) -> str:
    seconds = dict(_fields(_bytes(value))).get(1)
    if seconds is None:
        return ""
    return datetime.fromtimestamp(_int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _int_or_string(value: Value) -> int | str:
    found = dict(_fields(_bytes(value)))
    return _text(found.get(3, b"")) if found.get(1) else _int(found.get(2, 0))


_SCALARS: dict[str, Callable[[Value], object]] = {
    "string": _text,
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "int": _int,
    "bool": lambda value: bool(_int(value)),
    "time": _time,
    "int-or-string": _int_or_string,
}
