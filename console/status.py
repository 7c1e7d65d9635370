"""The status page: what runs, the weights wanted and seen, the last events."""

from typing import Any

from console.graph.queries import summed
from console.kubernetes import Kubernetes, KubernetesError, Object, Weight, virtual_services, weights_of
from console.prometheus import Prometheus, PrometheusError, quote

_EVENTS = 25


def status(kubernetes: Kubernetes, prometheus: Prometheus, namespace: str) -> dict[str, Any]:
    """Return all that the page shows; what could not be read is missing, and `problems` says why."""
    problems: list[str] = []
    found: dict[str, Any] = {"namespace": namespace, "problems": problems}
    space = f"namespaces/{namespace}"
    wanted: list[Weight] = []
    try:
        found["pods"] = [_pod(pod) for pod in kubernetes.list(f"api/v1/{space}/pods")]
        deployments = kubernetes.list(f"apis/apps/v1/{space}/deployments")
        found["deployments"] = [_deployment(deployment) for deployment in deployments]
        wanted = [w for v in virtual_services(kubernetes, namespace) for w in weights_of(v)]
        events = kubernetes.list(f"api/v1/{space}/events")
        newest = sorted((_event(event) for event in events), key=lambda e: str(e["time"]), reverse=True)
        found["events"] = newest[:_EVENTS]
    except KubernetesError as error:
        problems.append(str(error))
    try:
        found["weights"] = _weights(wanted, prometheus, namespace)
        if "pods" not in found:
            found["seen"] = _seen_pods(prometheus, namespace)
    except PrometheusError as error:
        problems.append(str(error))
        found["weights"] = [_weight(weight, None) for weight in wanted]
    return found


def _pod(pod: Object) -> dict[str, Any]:
    spec, state = pod["spec"], pod.get("status", {})
    statuses = [*state.get("initContainerStatuses", []), *state.get("containerStatuses", [])]
    shown = [s for s in statuses if s.get("ready") or "terminated" not in s.get("state", {})]
    labels = pod["metadata"].get("labels") or {}
    waiting = [s["state"]["waiting"].get("reason") for s in statuses if "waiting" in s.get("state", {})]
    phase = state.get("phase", "Unknown")
    return {
        "name": pod["metadata"]["name"],
        "app": labels.get("app", ""),
        "version": labels.get("version", ""),
        "state": "Terminating"
        if pod["metadata"].get("deletionTimestamp")
        else next(filter(None, waiting), phase),
        "ready": f"{sum(bool(s.get('ready')) for s in shown)}/{len(shown)}",
        "healthy": phase == "Succeeded" or (bool(shown) and all(s.get("ready") for s in shown)),
        "restarts": sum(s.get("restartCount", 0) for s in statuses),
        "started": state.get("startTime") or pod["metadata"].get("creationTimestamp"),
        "image": spec["containers"][0].get("image", ""),
    }


def _deployment(deployment: Object) -> dict[str, Any]:
    meta, state = deployment["metadata"], deployment.get("status", {})
    template = deployment["spec"]["template"]
    annotations = template["metadata"].get("annotations") or {}
    wanted, ready = deployment["spec"].get("replicas", 1), state.get("readyReplicas", 0)
    return {
        "name": meta["name"],
        "version": template["metadata"].get("labels", {}).get("version", ""),
        "ready": f"{ready}/{wanted}",
        "healthy": ready >= wanted,
        "image": template["spec"]["containers"][0].get("image", ""),
        "digest": annotations.get("c756/image-digest", ""),
    }


def _event(event: Object) -> dict[str, Any]:
    about = event.get("involvedObject", {})
    series = event.get("series") or {}
    time = event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime")
    return {
        "time": time or event["metadata"].get("creationTimestamp", ""),
        "type": event.get("type", "Normal"),
        "reason": event.get("reason", ""),
        "object": f"{about.get('kind', '')}/{about.get('name', '')}",
        "message": event.get("message", ""),
        "count": event.get("count") or series.get("count") or 1,
    }


def _weights(wanted: list[Weight], prometheus: Prometheus, namespace: str) -> list[dict[str, Any]]:
    matcher = [f'reporter="source",destination_workload_namespace={quote(namespace)}']
    labels = ("destination_app", "destination_version")
    rates = {
        (s.labels.get("destination_app", ""), s.labels.get("destination_version", "")): s.value
        for s in prometheus.query(summed("istio_requests_total", matcher, "1m", labels))
    }
    rows = []
    for weight in wanted:
        everything = sum(rate for (app, _), rate in rates.items() if app == weight.host)
        own = sum(
            rate
            for (app, version), rate in rates.items()
            if app == weight.host and weight.subset in ("", version)
        )
        rows.append(_weight(weight, 100 * own / everything if everything else None))
    return rows


def _weight(weight: Weight, seen: float | None) -> dict[str, Any]:
    return {
        "virtualService": weight.virtual_service,
        "rule": weight.rule,
        "service": weight.host,
        "version": weight.subset,
        "wanted": weight.percent,
        "seen": seen,
    }


def _seen_pods(prometheus: Prometheus, namespace: str) -> list[dict[str, Any]]:
    """Return the pods that Prometheus scrapes, for where there is no Kubernetes API."""
    query = f'max by (pod, app, version) (up{{namespace={quote(namespace)},app!=""}})'
    return [{**sample.labels, "up": sample.value == 1} for sample in prometheus.query(query)]
