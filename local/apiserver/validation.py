"""Rules beyond those of tools.check: what may not change, sizes, generated names.

Wording: pkg/apis/core/validation and k8s.io/apimachinery/pkg/api/validation of Kubernetes.
"""

import json
import re
from collections.abc import Iterator

from local.apiserver.errors import Cause
from local.kinds import Object

_ANNOTATIONS_BYTES = 256 * 1024
_DATA_BYTES = 1024 * 1024
_POD_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
_IMMUTABLE = {"Deployment": ("selector",), "ReplicaSet": ("selector",), "Job": ("selector", "template")}


def problems(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Yield what is wrong with an object that has its defaults; `old` is what it is to replace."""
    meta = obj["metadata"]
    if not meta.get("name") and not meta.get("generateName"):
        text = "Required value: name or generateName is required"
        yield Cause("metadata.name", text, "FieldValueRequired")
    annotations = meta.get("annotations") or {}
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_BYTES:
        text = f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes"
        yield Cause("metadata.annotations", text, "FieldValueTooLong")
    if obj["kind"] in ("Secret", "ConfigMap"):
        yield from _data(obj)
    if old is not None:
        yield from _immutable(obj, old)


def _data(obj: Object) -> Iterator[Cause]:
    found = {**(obj.get("data") or {}), **(obj.get("binaryData") or {})}
    for key in found:
        if len(key) > 253 or not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            yield Cause(f"data[{key}]", f"Invalid value: {json.dumps(key)}: {text}")
    # A Secret's values stand in base64: four characters for three bytes.
    if sum(len(str(value)) for value in found.values()) > _DATA_BYTES * 4 // 3:
        yield Cause("data", f"Too long: may not be more than {_DATA_BYTES} bytes", "FieldValueTooLong")


def _immutable(obj: Object, old: Object) -> Iterator[Cause]:
    kind, spec, before = obj["kind"], obj.get("spec") or {}, old.get("spec") or {}
    for field in _IMMUTABLE.get(kind, ()):
        if spec.get(field) != before.get(field):
            text = f"Invalid value: {json.dumps(spec.get(field))}: field is immutable"
            yield Cause(f"spec.{field}", text)
    internal = kind == "Service" and "ExternalName" not in (spec.get("type"), before.get("type"))
    if internal and spec.get("clusterIP") != before.get("clusterIP"):
        text = f"Invalid value: {json.dumps(spec.get('clusterIP'))}: field is immutable"
        yield Cause("spec.clusterIPs[0]", text)
    sealed = kind in ("Secret", "ConfigMap") and old.get("immutable")
    if sealed and any(obj.get(f) != old.get(f) for f in ("data", "binaryData", "immutable")):
        text = "Forbidden: field is immutable when `immutable` is set"
        yield Cause("data", text, "FieldValueForbidden")
    if kind == "Secret" and obj.get("type") != old.get("type"):
        yield Cause("type", f"Invalid value: {json.dumps(obj.get('type'))}: field is immutable")
    if kind in ("RoleBinding", "ClusterRoleBinding") and obj.get("roleRef") != old.get("roleRef"):
        yield Cause("roleRef", f"Invalid value: {json.dumps(obj.get('roleRef'))}: cannot change roleRef")
    if kind == "Pod" and _fixed(spec) != _fixed(before):
        text = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
            "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
            "was previously negative)"
        )
        yield Cause("spec", text, "FieldValueForbidden")


def _fixed(spec: Object) -> Object:
    fixed = {key: value for key, value in spec.items() if key not in _POD_MUTABLE}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [{k: v for k, v in c.items() if k != "image"} for c in fixed[field]]
    return fixed
