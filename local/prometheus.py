"""Prometheus' configuration from the store: what the Prometheus operator does on a cluster.

Each ServiceMonitor becomes a scrape job whose targets stand in a file (file_sd), so that pods come and go
without a reload; the sidecars are one more job.
Format: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
Fields: https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.ServiceMonitor
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from local.files import write_atomically
from local.istiod.telemetry import METRIC_RELABELINGS
from local.kinds import Object
from local.settings import Settings
from local.store import Store, matches, namespace_of

log = logging.getLogger(__name__)

SIDECAR_INTERVAL = "5s"
_STATS_PORT = 15090
_CONFIG_FILE = "prometheus.yml"

_FIELDS = {
    "spec": {"selector", "namespaceSelector", "endpoints", "jobLabel", "targetLabels", "podTargetLabels"},
    "spec.selector": {"matchLabels"},
    "spec.namespaceSelector": {"matchNames", "any"},
    "spec.endpoints": {
        "port",
        "path",
        "interval",
        "scrapeTimeout",
        "scheme",
        "honorLabels",
        "metricRelabelings",
    },
}


def problems(obj: Object) -> list[tuple[str, str]]:
    """Return path and reason of each field of a ServiceMonitor that this Prometheus would not follow."""
    if obj["kind"] != "ServiceMonitor":
        return []
    spec = obj.get("spec", {})
    parts = {
        "spec": [("spec", spec)],
        "spec.selector": [("spec.selector", spec.get("selector", {}))],
        "spec.namespaceSelector": [("spec.namespaceSelector", spec.get("namespaceSelector", {}))],
        "spec.endpoints": [(f"spec.endpoints[{i}]", e) for i, e in enumerate(spec.get("endpoints", []))],
    }
    return [
        (f"{path}.{name}", "not implemented by the one-machine mesh")
        for kind, found in parts.items()
        for path, value in found
        for name in value
        if name not in _FIELDS[kind]
    ]


def _monitored_services(store: Store, monitor: Object) -> list[Object]:
    where = monitor["spec"].get("namespaceSelector", {})
    names = where.get("matchNames") or [namespace_of(monitor)]
    labels = monitor["spec"].get("selector", {}).get("matchLabels", {})
    return [
        service
        for service in store.select("Service")
        if (where.get("any") or namespace_of(service) in names)
        and (not labels or matches(service["metadata"].get("labels"), labels))
    ]


def _labels(obj: Object | None, names: list[str]) -> dict[str, str]:
    """Return those of an object's labels that are to stand on its series, in Prometheus' spelling."""
    found = (obj or {"metadata": {}})["metadata"].get("labels", {})
    return {re.sub(r"\W", "_", name): found[name] for name in names if name in found}


def _targets(store: Store, service: Object, port: str, spec: Object) -> list[dict[str, Any]]:
    """Return file_sd entries with the labels that the operator gives (namespace, service, pod …)."""
    meta, space = service["metadata"], namespace_of(service)
    common = {
        **_labels(service, spec.get("targetLabels", [])),
        "namespace": space,
        "service": meta["name"],
        "endpoint": port,
        "job": meta.get("labels", {}).get(spec.get("jobLabel", ""), meta["name"]),
    }
    found = []
    for piece in store.select("EndpointSlice", space):
        if piece["metadata"].get("labels", {}).get("kubernetes.io/service-name") != meta["name"]:
            continue
        numbers = [p["port"] for p in piece.get("ports") or [] if p.get("name") == port]
        for endpoint in piece.get("endpoints") or []:
            name = endpoint.get("targetRef", {}).get("name", "")
            of_pod = _labels(store.find("Pod", space, name), spec.get("podTargetLabels", []))
            addresses = [f"{ip}:{n}" for ip in endpoint["addresses"] for n in numbers]
            found.append({"targets": addresses, "labels": {**of_pod, **common, "pod": name}})
    return found


def _sidecar_targets(store: Store) -> list[dict[str, Any]]:
    found = []
    for pod in store.select("Pod"):
        spec = pod["spec"]
        names = [c["name"] for c in [*spec.get("initContainers", []), *spec["containers"]]]
        address = pod.get("status", {}).get("podIP")
        if "istio-proxy" not in names or not address or pod["status"].get("phase") != "Running":
            continue
        meta = pod["metadata"]
        labels = meta.get("labels", {})
        about = {
            "namespace": meta["namespace"],
            "pod": meta["name"],
            "app": labels.get("app", ""),
            "version": labels.get("version", ""),
        }
        found.append({"targets": [f"{address}:{_STATS_PORT}"], "labels": about})
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _relabeling(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule of a monitor (camelCase) in Prometheus' own spelling."""
    return {_snake(key): value for key, value in rule.items()}


def configuration(store: Store, folder: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Return prometheus.yml, and the content of each targets file in `folder` by its name."""
    targets = {"sidecars.json": _sidecar_targets(store)}
    jobs: list[dict[str, Any]] = [
        {
            "job_name": "envoy-stats",
            "scrape_interval": SIDECAR_INTERVAL,
            "metrics_path": "/stats/prometheus",
            "file_sd_configs": [{"files": [str(folder / "sidecars.json")]}],
            "metric_relabel_configs": METRIC_RELABELINGS,
        }
    ]
    for monitor in store.select("ServiceMonitor"):
        meta, spec = monitor["metadata"], monitor["spec"]
        services = _monitored_services(store, monitor)
        for index, endpoint in enumerate(spec["endpoints"]):
            job = f"serviceMonitor/{meta['namespace']}/{meta['name']}/{index}"
            file = f"{job.replace('/', '_')}.json"
            targets[file] = [
                target for service in services for target in _targets(store, service, endpoint["port"], spec)
            ]
            optional = {
                "scrape_interval": endpoint.get("interval"),
                "scrape_timeout": endpoint.get("scrapeTimeout"),
                "honor_labels": endpoint.get("honorLabels"),
                "metric_relabel_configs": [
                    _relabeling(rule) for rule in endpoint.get("metricRelabelings", [])
                ]
                or None,
            }
            jobs.append(
                {
                    "job_name": job,
                    "metrics_path": endpoint.get("path", "/metrics"),
                    "scheme": endpoint.get("scheme", "http"),
                    "file_sd_configs": [{"files": [str(folder / file)]}],
                    **{key: value for key, value in optional.items() if value is not None},
                }
            )
    return {
        "global": {"scrape_interval": "30s", "evaluation_interval": "30s"},
        "scrape_configs": jobs,
    }, targets


def _folder(settings: Settings) -> Path:
    return settings.state / "prometheus"


def url(settings: Settings) -> str:
    """Return where Prometheus answers."""
    return f"http://{settings.ingress_host}:{settings.prometheus_port}"


def argv(settings: Settings) -> list[str]:
    """Return Prometheus' command line; its web page and API are on the loopback interface only."""
    unpacked = settings.cache / "prometheus/usr/bin/prometheus"
    folder = _folder(settings)
    return [
        str(unpacked) if unpacked.exists() else "prometheus",
        f"--config.file={folder / _CONFIG_FILE}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=7d",
        f"--web.listen-address={settings.ingress_host}:{settings.prometheus_port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]


class PrometheusOperator:
    """Keeps Prometheus' configuration files in step with the store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._url = url(settings)
        self._folder = _folder(settings)

    def write(self) -> bool:
        """Write what has changed, and tell whether Prometheus has to read its configuration again."""
        config, targets = configuration(self._store, self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, content in targets.items():
            write_atomically(self._folder / name, json.dumps(content))
        return write_atomically(self._folder / _CONFIG_FILE, yaml.safe_dump(config, sort_keys=False))

    async def run(self) -> None:
        """Follow the store until cancelled."""
        self.write()
        pending = False
        async with self._store.open_watch() as watch, aiohttp.ClientSession() as session:
            while True:
                event = await watch.next(1 if pending else None)
                relevant = [e for e in [event, *watch.drain()] if e is not None]
                if any(
                    e.resource.kind in ("ServiceMonitor", "Service", "EndpointSlice", "Pod") for e in relevant
                ):
                    pending = self.write() or pending
                if pending:
                    pending = not await self._reload(session)

    async def _reload(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.post(f"{self._url}/-/reload") as answer:
                if answer.status != 200:
                    log.error("Prometheus refuses its configuration: %s", (await answer.text()).strip())
                return True
        except (aiohttp.ClientError, TimeoutError):
            return False
