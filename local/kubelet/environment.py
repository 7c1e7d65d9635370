"""A container's environment variables."""

import base64
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from local.kinds import Object
from local.store import Store

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\((?P<name>[^()]+)\))")
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_FROM_THE_MACHINE = ("PATH", "LANG", "TZ")


class ConfigError(Exception):
    """A ConfigMap, Secret, key or field that a container needs is not there (CreateContainerConfigError)."""


@dataclass(frozen=True)
class Variable:
    """A variable; `literal`: its value stands in the pod's spec and may name paths of the image."""

    name: str
    value: str
    literal: bool


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with $(NAME) replaced where the variable is known, and $$ by $ (v1.EnvVar.value)."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        return variables.get(match["name"], match[0])

    return _REFERENCE.sub(value, text)


def machine() -> dict[str, str]:
    """Return what every process gets of this machine's environment."""
    return {name: os.environ[name] for name in _FROM_THE_MACHINE if name in os.environ}


def field_value(pod: Object, path: str) -> str:
    """Return what a fieldRef names. Raises ConfigError."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = pod["metadata"].get(path.removeprefix("metadata.")) or {}
        return "\n".join(f'{name}="{value}"' for name, value in sorted(pairs.items()))
    value: object = pod
    for step in path.removesuffix("IPs").split("."):
        value = value.get(step, "") if isinstance(value, Mapping) else ""
    if path.endswith("IPs"):
        value = ",".join(entry["ip"] for entry in (pod.get("status") or {}).get(path.split(".")[1], []))
    if not isinstance(value, str):
        raise ConfigError(f"unsupported fieldPath: {path}")
    return value


def data(store: Store, pod: Object, kind: str, name: str) -> dict[str, bytes] | None:
    """Return the data of a ConfigMap or Secret in the pod's namespace, None where it is not there."""
    found = store.find(kind, pod["metadata"]["namespace"], name)
    return None if found is None else object_data(found)


def object_data(obj: Object) -> dict[str, bytes]:
    """Return the data of a ConfigMap or Secret: data, binaryData, stringData."""
    plain = obj.get("data") or {}
    if obj["kind"] == "Secret":
        values = {name: _base64(text) for name, text in plain.items()}
        values |= {name: text.encode() for name, text in (obj.get("stringData") or {}).items()}
        return values
    values = {name: text.encode() for name, text in plain.items()}
    return values | {name: _base64(text) for name, text in (obj.get("binaryData") or {}).items()}


def _base64(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _source(store: Store, pod: Object, kind: str, ref: Object) -> dict[str, bytes] | None:
    """Return the referenced data; None where it is not there and need not be. Raises ConfigError."""
    found = data(store, pod, kind, ref["name"])
    if found is None and not ref.get("optional"):
        raise ConfigError(f'{kind.lower()} "{ref["name"]}" not found')
    return found


def _key(store: Store, pod: Object, kind: str, ref: Object) -> str | None:
    found = _source(store, pod, kind, ref)
    if found is not None and ref["key"] in found:
        return os.fsdecode(found[ref["key"]])
    if not ref.get("optional"):
        space = pod["metadata"]["namespace"]
        raise ConfigError(f"couldn't find key {ref['key']} in {kind} {space}/{ref['name']}")
    return None


def _all_of(store: Store, pod: Object, source: Object) -> Iterator[Variable]:
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if field not in source:
            continue
        for key, value in sorted((_source(store, pod, kind, source[field]) or {}).items()):
            name = source.get("prefix", "") + key
            if _NAME.fullmatch(name):
                yield Variable(name, os.fsdecode(value), literal=False)


def _from(store: Store, pod: Object, source: Object) -> str | None:
    if "secretKeyRef" in source:
        return _key(store, pod, "Secret", source["secretKeyRef"])
    if "configMapKeyRef" in source:
        return _key(store, pod, "ConfigMap", source["configMapKeyRef"])
    return field_value(pod, source["fieldRef"]["fieldPath"])


def declared(store: Store, pod: Object, container: Object, image: Mapping[str, str]) -> list[Variable]:
    """Return the variables of the image, envFrom and env, later ones winning. Raises ConfigError."""
    found = {name: Variable(name, value, literal=True) for name, value in image.items()}
    for source in container.get("envFrom") or []:
        found |= {variable.name: variable for variable in _all_of(store, pod, source)}
    for entry in container.get("env") or []:
        name = entry["name"]
        if "valueFrom" in entry:
            value = _from(store, pod, entry["valueFrom"])
            if value is not None:
                found[name] = Variable(name, value, literal=False)
        else:
            known = {variable.name: variable.value for variable in found.values()}
            found[name] = Variable(name, expand(entry.get("value") or "", known), literal=True)
    return list(found.values())
