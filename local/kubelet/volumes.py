"""Volumes: folders of the pod, filled from ConfigMaps, Secrets and the pod itself."""

import os
from pathlib import Path

from local.kinds import Object
from local.kubelet.environment import data, field_value
from local.kubelet.folders import ContainerFolder, PodFolder
from local.serviceaccounts import ServiceAccount, issue
from local.store import Store


class VolumeError(Exception):
    """A volume cannot be filled yet (FailedMount)."""


def _items(found: dict[str, bytes] | None, source: Object, kind: str, name: str) -> dict[str, bytes]:
    """Return path -> content of a ConfigMap's or Secret's volume. Raises VolumeError."""
    optional = bool(source.get("optional"))
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'MountVolume.SetUp failed: {kind.lower()} "{name}" not found')
    if not source.get("items"):
        return found
    chosen = {}
    for item in source["items"]:
        if item["key"] in found:
            chosen[item["path"]] = found[item["key"]]
        elif not optional:
            raise VolumeError(f'MountVolume.SetUp failed: {kind.lower()} "{name}" has no key {item["key"]}')
    return chosen


def content(store: Store, pod: Object, volume: Object) -> dict[str, bytes]:
    """Return path -> content of a volume's files; none for an emptyDir. Raises VolumeError."""
    if "configMap" in volume:
        source = volume["configMap"]
        return _items(data(store, pod, "ConfigMap", source["name"]), source, "ConfigMap", source["name"])
    if "secret" in volume:
        source = volume["secret"]
        name = source["secretName"]
        return _items(data(store, pod, "Secret", name), source, "Secret", name)
    if "downwardAPI" in volume:
        items = volume["downwardAPI"].get("items") or []
        return {item["path"]: field_value(pod, item["fieldRef"]["fieldPath"]).encode() for item in items}
    found: dict[str, bytes] = {}
    for source in (volume.get("projected") or {}).get("sources") or []:
        for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if field in source:
                name = source[field]["name"]
                found |= _items(data(store, pod, kind, name), source[field], kind, name)
        if "downwardAPI" in source:
            found |= content(store, pod, source)
        if "serviceAccountToken" in source:
            account = ServiceAccount(
                pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName") or "default"
            )
            found[source["serviceAccountToken"]["path"]] = issue(account).encode()
    return found


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Bring the files in `folder` to `files`, each replaced in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, value in files.items():
        target = folder / path
        if target.is_file() and target.read_bytes() == value:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        new.touch(mode=0o600)
        new.write_bytes(value)
        new.replace(target)
    for present in list(folder.rglob("*")):
        if present.is_file() and present.relative_to(folder).as_posix() not in files:
            present.unlink()


def set_up(store: Store, pod: Object, folder: PodFolder) -> None:
    """Make the pod's volumes, or bring those of ConfigMaps and Secrets up to date. Raises VolumeError."""
    folder.tmp.mkdir(parents=True, exist_ok=True)
    for volume in pod["spec"].get("volumes") or []:
        path = folder.volume(volume["name"])
        if "emptyDir" in volume:
            path.mkdir(parents=True, exist_ok=True)
        else:
            write(path, content(store, pod, volume))


def mount(pod: Object, container: Object, pod_folder: PodFolder, folder: ContainerFolder) -> dict[str, Path]:
    """Link the container's mounts into its files; return mountPath -> real path."""
    known = {volume["name"] for volume in pod["spec"].get("volumes") or []}
    mounts = {}
    for entry in container.get("volumeMounts") or []:
        if entry["name"] not in known:
            raise VolumeError(f'volumeMounts: volume "{entry["name"]}" not found')
        path = entry["mountPath"].rstrip("/")
        real = pod_folder.volume(entry["name"])
        if entry.get("subPath"):
            real /= entry["subPath"]
        mounts[path] = real
        inside = folder.rootfs / path.lstrip("/")
        if inside.parent.is_dir() and not inside.exists() and not inside.is_symlink():
            inside.symlink_to(os.path.relpath(real, inside.parent))
    return mounts
