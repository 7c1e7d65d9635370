"""The defaults that Kubernetes fills in, so that objects read here as they do on a cluster.

Source: pkg/apis/{core,apps,batch,autoscaling,networking,rbac}/v1*/defaults.go of Kubernetes. Only absent
fields are set, so that applying an object twice changes nothing the second time.
"""

import base64
from collections.abc import Callable, Iterator

from local.kinds import Object


def apply(obj: Object) -> None:
    """Fill in the defaults of one object, in place."""
    kind = str(obj.get("kind"))
    if kind in _KINDS:
        _KINDS[kind](obj)


def containers(pod_spec: Object) -> Iterator[Object]:
    """Yield the init containers and the containers of a pod's spec."""
    for field in ("initContainers", "containers"):
        yield from (c for c in pod_spec.get(field) or [] if isinstance(c, dict))


def _section(obj: Object, field: str) -> Object:
    """Return a part that is an object; a wrongly typed one is left for validation to name."""
    found = obj.setdefault(field, {})
    return found if isinstance(found, dict) else {}


def _fill(obj: Object, **values: object) -> None:
    for field, value in values.items():
        if obj.get(field) is None:
            obj[field] = value


def _pod(obj: Object) -> None:
    spec = _section(obj, "spec")
    _pod_spec(spec)
    _fill(spec, enableServiceLinks=True, serviceAccountName="default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    for container in containers(spec):
        resources = container.get("resources") or {}
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _pod_spec(spec: Object) -> None:
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        _fill(spec, serviceAccount=spec["serviceAccountName"])
    for container in containers(spec):
        _container(container)
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _container(container: Object) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    _fill(
        container,
        imagePullPolicy="Always" if latest else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for port in _objects(container.get("ports")):
        _fill(port, protocol="TCP")
    for variable in _objects(container.get("env")):
        source = variable.get("valueFrom")
        if isinstance(source, dict) and isinstance(source.get("fieldRef"), dict):
            _fill(source["fieldRef"], apiVersion="v1")
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(field)
        if isinstance(probe, dict):
            _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _http_get(probe)
    lifecycle = container.get("lifecycle")
    if isinstance(lifecycle, dict):
        for field in ("postStart", "preStop"):
            if isinstance(lifecycle.get(field), dict):
                _http_get(lifecycle[field])


def _http_get(handler: Object) -> None:
    if isinstance(handler.get("httpGet"), dict):
        _fill(handler["httpGet"], path="/", scheme="HTTP")


def _volume(volume: object) -> None:
    if not isinstance(volume, dict):
        return
    for field in ("secret", "configMap", "projected", "downwardAPI"):
        if isinstance(volume.get(field), dict):
            _fill(volume[field], defaultMode=0o644)


def _objects(items: object) -> Iterator[Object]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _template(obj: Object) -> Object:
    spec = _section(obj, "spec")
    _pod_spec(_section(_section(spec, "template"), "spec"))
    return spec


def _deployment(obj: Object) -> None:
    spec = _template(obj)
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _section(spec, "strategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_section(strategy, "rollingUpdate"), maxSurge="25%", maxUnavailable="25%")


def _replica_set(obj: Object) -> None:
    _fill(_template(obj), replicas=1)


def _job(obj: Object) -> None:
    spec = _template(obj)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _fill(spec, completions=1)
    _fill(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
    )


def _service(obj: Object) -> None:
    spec = _section(obj, "spec")
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    external = spec["type"] == "ExternalName"
    if not external:
        _fill(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)
    for port in _objects(spec.get("ports")):
        _fill(port, protocol="TCP", targetPort=port.get("port"))


def _secret(obj: Object) -> None:
    _fill(obj, type="Opaque")
    plain = obj.get("stringData")
    if isinstance(plain, dict) and all(isinstance(value, str) for value in plain.values()):
        del obj["stringData"]
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _namespace(obj: Object) -> None:
    labels = obj["metadata"].get("labels") or {}
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name")
    obj["metadata"]["labels"] = labels
    _fill(_section(obj, "spec"), finalizers=["kubernetes"])


def _horizontal_pod_autoscaler(obj: Object) -> None:
    _fill(_section(obj, "spec"), minReplicas=1)


def _network_policy(obj: Object) -> None:
    spec = _section(obj, "spec")
    _fill(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _binding(obj: Object) -> None:
    _fill(_section(obj, "roleRef"), apiGroup="rbac.authorization.k8s.io")
    for subject in _objects(obj.get("subjects")):
        if subject.get("kind") != "ServiceAccount":
            _fill(subject, apiGroup="rbac.authorization.k8s.io")


_KINDS: dict[str, Callable[[Object], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "Job": _job,
    "Service": _service,
    "Secret": _secret,
    "Namespace": _namespace,
    "HorizontalPodAutoscaler": _horizontal_pod_autoscaler,
    "NetworkPolicy": _network_policy,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
}
