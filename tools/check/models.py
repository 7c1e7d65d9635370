"""Strict JSON schemas of the kinds that Istio and the Prometheus operator define.

The source: the pydantic models of cloudcoil.models.istio and cloudcoil.models.prometheus_operator, which were
generated from the CustomResourceDefinitions. They ignore unknown fields and take seconds to import, so the
schemas are derived once and kept in a cache, one file a kind.
"""

import contextlib
import importlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

# Bump when strict() derives something else from the same models.
FORMAT = 1

PACKAGES = ("cloudcoil.models.istio", "cloudcoil.models.prometheus_operator")

# Module and kinds for each apiVersion.
MODELS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "networking.istio.io/v1": (
        "cloudcoil.models.istio.networking.v1",
        (
            "DestinationRule",
            "Gateway",
            "ServiceEntry",
            "Sidecar",
            "VirtualService",
            "WorkloadEntry",
            "WorkloadGroup",
        ),
    ),
    "networking.istio.io/v1beta1": (
        "cloudcoil.models.istio.networking.v1beta1",
        ("DestinationRule", "Gateway", "ProxyConfig", "ServiceEntry", "Sidecar", "VirtualService"),
    ),
    "networking.istio.io/v1alpha3": (
        "cloudcoil.models.istio.networking.v1alpha3",
        ("DestinationRule", "EnvoyFilter", "Gateway", "ServiceEntry", "Sidecar", "VirtualService"),
    ),
    "security.istio.io/v1": (
        "cloudcoil.models.istio.security.v1",
        ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
    ),
    "telemetry.istio.io/v1": ("cloudcoil.models.istio.telemetry.v1", ("Telemetry",)),
    "monitoring.coreos.com/v1": (
        "cloudcoil.models.prometheus_operator.v1",
        ("PodMonitor", "Probe", "PrometheusRule", "ServiceMonitor"),
    ),
}


def load(api_version: str, kind: str) -> Schema | None:
    """Strict schema of the ``spec`` of a kind, or None where no model has that kind.

    The keyword ``x-at-most-one`` holds groups of properties that exclude each other.
    """
    if kind not in kinds(api_version):
        return None
    schema: Schema = json.loads((_folder() / _file(api_version, kind)).read_text(encoding="utf-8"))
    return schema


def kinds(api_version: str) -> tuple[str, ...]:
    """Kinds of an apiVersion that there are schemas of."""
    return MODELS.get(api_version, ("", ()))[1]


def strict(schema: Schema) -> Schema:
    """Makes a model's schema strict: no unknown fields, no null, variants of one field merged.

    The models show a protobuf ``oneof`` as variants that have the same properties and require one each.
    Merged, they let a mistake be reported at its own path.
    """
    definitions = schema.get("$defs", {})

    def convert(node: Schema) -> Schema:
        if "anyOf" in node:
            return convert_variants([option for option in node["anyOf"] if option.get("type") != "null"])
        if "$ref" in node:
            return {"$ref": node["$ref"]}
        kept: Schema = {
            key: node[key]
            for key in ("type", "enum", "const", "pattern", "minimum", "maximum")
            if key in node
        }
        if "items" in node:
            kept["items"] = convert(node["items"])
        if "properties" in node:
            kept["properties"] = {name: convert(child) for name, child in node["properties"].items()}
            kept["additionalProperties"] = False
            if node.get("required"):
                kept["required"] = node["required"]
        elif isinstance(node.get("additionalProperties"), dict):
            kept["additionalProperties"] = convert(node["additionalProperties"])
        return kept

    def convert_variants(options: list[Schema]) -> Schema:
        if len(options) == 1:
            return convert(options[0])
        if all("$ref" in option for option in options):
            return merge([definitions[option["$ref"].removeprefix("#/$defs/")] for option in options])
        return {"anyOf": [convert(option) for option in options]}

    def merge(variants: list[Schema]) -> Schema:
        required = [set(variant.get("required", [])) for variant in variants]
        common = set.intersection(*required)
        properties: Schema = {}
        for variant in variants:
            for name, child in variant.get("properties", {}).items():
                options = properties.setdefault(name, [])
                options += [child] if child not in options else []
        merged: Schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: merge_property(options) for name, options in properties.items()},
        }
        exclusive = sorted(set.union(*required) - common)
        if common:
            merged["required"] = sorted(common)
        if len(exclusive) > 1:
            merged["x-at-most-one"] = exclusive
        return merged

    def merge_property(options: list[Schema]) -> Schema:
        parts = [
            part for option in options for part in option.get("anyOf", [option]) if part.get("type") != "null"
        ]
        if all("$ref" in part for part in parts):
            return convert_variants([{"$ref": ref} for ref in dict.fromkeys(part["$ref"] for part in parts)])
        converted = [convert(part) for part in parts]
        unique = [part for n, part in enumerate(converted) if part not in converted[:n]]
        return unique[0] if len(unique) == 1 else {"anyOf": unique}

    result = convert({key: value for key, value in schema.items() if key != "$defs"})
    result["$defs"] = {name: convert(definition) for name, definition in definitions.items()}
    result["$defs"] = {name: result["$defs"][name] for name in sorted(_used(result, result["$defs"]))}
    return result


def _used(root: Schema, definitions: Schema) -> set[str]:
    used: set[str] = set()
    open_nodes: list[object] = [{key: value for key, value in root.items() if key != "$defs"}]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in used:
                used.add(name)
                open_nodes.append(definitions[name])
            open_nodes += node.values()
        elif isinstance(node, list):
            open_nodes += node
    return used


@cache
def _folder() -> Path:
    """Folder of the cached schemas; they are derived when it is not there."""
    versions = "-".join(importlib.metadata.version(package) for package in PACKAGES)
    root = Path(__file__).parents[2] / ".cache" / "check"
    folder = root / f"{versions}-{FORMAT}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=root, prefix="."))
    try:
        _derive(temporary)
        # Somebody else may have been faster: theirs is the same.
        with contextlib.suppress(OSError):
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _derive(folder: Path) -> None:
    for api_version, (module, names) in MODELS.items():
        for kind in names:
            schema = getattr(importlib.import_module(module), kind).model_json_schema(by_alias=True)
            spec = strict({**schema["properties"]["spec"], "$defs": schema["$defs"]})
            (folder / _file(api_version, kind)).write_text(json.dumps(spec), encoding="utf-8")
    folder.chmod(0o755)  # mkdtemp makes it 0700


def _file(api_version: str, kind: str) -> str:
    return f"{kind}.{api_version.replace('/', '.')}.json"
