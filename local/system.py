"""What is there before c756 is deployed: node, ingress gateway, Prometheus, and DynamoDB outside the mesh."""

import os
import platform

import psutil

from local import prometheus
from local.apiserver.schema import KUBERNETES
from local.images.store import MACHINE_IMAGE
from local.kinds import Object
from local.kubelet.kubelet import NODE
from local.settings import Settings
from local.store import AlreadyExistsError, Store, now


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _deployment(namespace: str, name: str, labels: dict[str, str], pod_spec: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec},
        },
    }


def _on_machine(name: str, argv: list[str], probe: Object, grace: int) -> Object:
    """Return the spec of a pod that takes an address of the machine instead of one of its own."""
    return {
        "hostNetwork": True,
        "terminationGracePeriodSeconds": grace,
        "containers": [
            {
                "name": name,
                "image": MACHINE_IMAGE,
                "command": argv,
                "readinessProbe": {**probe, "periodSeconds": 1},
            }
        ],
    }


def _dynamodb(settings: Settings) -> Object:
    jars = settings.cache / "dynamodb"
    argv = [
        "java",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xmx256m",
        f"-Djava.library.path={jars}",
        "-cp",
        f"{jars}:{jars}/*",
        "LoopbackDynamoDB",
        settings.dynamodb_host,
        "-port",
        str(settings.dynamodb_port),
        "-sharedDb",
        "-dbPath",
        str(settings.state / "dynamodb"),
        "-disableTelemetry",
    ]
    # It answers a request without a signature with 400, which an HTTP probe would take for a failure.
    probe = {"tcpSocket": {"host": settings.dynamodb_host, "port": settings.dynamodb_port}}
    return _deployment("aws", "dynamodb", {"app": "dynamodb"}, _on_machine("dynamodb", argv, probe, 5))


def _node(settings: Settings) -> Object:
    room = {
        "cpu": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total // 1024}Ki",
        # As many as the kubelet's own default.
        "pods": "110",
    }
    about = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "kernelVersion": platform.release(),
        "kubeletVersion": f"v{KUBERNETES}",
        "operatingSystem": "linux",
        "osImage": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "containerRuntimeVersion": "processes://1",
    }
    moment = now()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "MeshRuns",
        "message": "pods are processes of this machine",
        "lastHeartbeatTime": moment,
        "lastTransitionTime": moment,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": settings.ingress_host}],
            "allocatable": room,
            "capacity": room,
            "conditions": [ready],
            "nodeInfo": about,
        },
    }


def _ingress_gateway(settings: Settings) -> list[Object]:
    labels = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    pod = {"containers": [{"name": "istio-proxy", "image": "auto"}], "terminationGracePeriodSeconds": 5}
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system", "labels": labels},
        "spec": {
            "type": "LoadBalancer",
            "selector": labels,
            "ports": [
                {"name": name, "port": port, "targetPort": port}
                for name, port in (
                    ("http2", settings.ingress_port),
                    ("http-dashboards", settings.dashboards_port),
                )
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": settings.ingress_host}]}},
    }
    return [service, _deployment("istio-system", "istio-ingressgateway", labels, pod)]


def chart_values(settings: Settings) -> Object:
    """Return the values of charts/c756 that only this mesh knows."""
    endpoint = f"http://dynamodb.c756.local:{settings.dynamodb_port}"
    return {
        "dynamodb": {"endpoint": endpoint, "address": settings.dynamodb_host},
        "console": {"prometheusUrl": prometheus.url(settings), "prometheusLink": prometheus.url(settings)},
    }


def objects(settings: Settings) -> list[Object]:
    """Return the objects that stand in the store when the mesh starts, owners first."""
    probe = {"httpGet": {"host": settings.ingress_host, "port": settings.prometheus_port, "path": "/-/ready"}}
    pod = _on_machine("prometheus", prometheus.argv(settings), probe, 10)
    return [
        *map(_namespace, ("default", "kube-system", "istio-system", "monitoring", "aws")),
        _node(settings),
        *_ingress_gateway(settings),
        _dynamodb(settings),
        _deployment("monitoring", "prometheus", {"app": "prometheus"}, pod),
    ]


def create(store: Store, settings: Settings) -> None:
    """Put them into the store, apart from those that others have created."""
    for obj in objects(settings):
        try:
            store.create(obj)
        except AlreadyExistsError:
            continue
