"""What the Kubernetes API server checks beyond the types in its published OpenAPI schemas: enums and ranges.

Source: the field descriptions of the API reference (https://kubernetes.io/docs/reference/kubernetes-api/).
"""

from typing import Any

_CORE = "io.k8s.api.core.v1."
_APPS = "io.k8s.api.apps.v1."
_POSITIVE = {"minimum": 1}
_NOT_NEGATIVE = {"minimum": 0}
_PORT = {"minimum": 1, "maximum": 65535}
_PROTOCOL = {"enum": ["TCP", "UDP", "SCTP", None]}


def _one_of(*values: str) -> dict[str, Any]:
    return {"enum": [*values, None]}


# Definition: property: keywords of JSON Schema.
CONSTRAINTS: dict[str, dict[str, dict[str, Any]]] = {
    _CORE + "Container": {"imagePullPolicy": _one_of("Always", "Never", "IfNotPresent")},
    _CORE + "ContainerPort": {"containerPort": _PORT, "hostPort": _PORT, "protocol": _PROTOCOL},
    _CORE + "ServicePort": {"port": _PORT, "nodePort": _PORT, "protocol": _PROTOCOL},
    _CORE + "ServiceSpec": {
        "type": _one_of("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
        "sessionAffinity": _one_of("ClientIP", "None"),
        "internalTrafficPolicy": _one_of("Cluster", "Local"),
        "externalTrafficPolicy": _one_of("Cluster", "Local"),
    },
    _CORE + "PodSpec": {
        "restartPolicy": _one_of("Always", "Never", "OnFailure"),
        "dnsPolicy": _one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        "terminationGracePeriodSeconds": _NOT_NEGATIVE,
        "activeDeadlineSeconds": _POSITIVE,
    },
    _CORE + "SeccompProfile": {"type": _one_of("Localhost", "RuntimeDefault", "Unconfined")},
    _CORE + "HTTPGetAction": {"scheme": _one_of("HTTP", "HTTPS")},
    _CORE + "EmptyDirVolumeSource": {"medium": _one_of("", "Memory", "HugePages")},
    _CORE + "TopologySpreadConstraint": {
        "maxSkew": _POSITIVE,
        "whenUnsatisfiable": _one_of("DoNotSchedule", "ScheduleAnyway"),
    },
    _CORE + "Toleration": {
        "effect": _one_of("", "NoExecute", "NoSchedule", "PreferNoSchedule"),
        "operator": _one_of("", "Equal", "Exists"),
    },
    _CORE + "Probe": {
        "failureThreshold": _POSITIVE,
        "initialDelaySeconds": _NOT_NEGATIVE,
        "periodSeconds": _POSITIVE,
        "successThreshold": _POSITIVE,
        "timeoutSeconds": _POSITIVE,
    },
    _CORE + "SleepAction": {"seconds": _NOT_NEGATIVE},
    _APPS + "DeploymentSpec": {
        "minReadySeconds": _NOT_NEGATIVE,
        "progressDeadlineSeconds": _POSITIVE,
        "replicas": _NOT_NEGATIVE,
        "revisionHistoryLimit": _NOT_NEGATIVE,
    },
    _APPS + "DeploymentStrategy": {"type": _one_of("Recreate", "RollingUpdate")},
    "io.k8s.api.batch.v1.JobSpec": {
        "activeDeadlineSeconds": _POSITIVE,
        "backoffLimit": _NOT_NEGATIVE,
        "completions": _NOT_NEGATIVE,
        "parallelism": _NOT_NEGATIVE,
        "ttlSecondsAfterFinished": _NOT_NEGATIVE,
    },
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec": {
        "minReplicas": _POSITIVE,
        "maxReplicas": _POSITIVE,
    },
    "io.k8s.api.autoscaling.v2.MetricTarget": {"type": _one_of("AverageValue", "Utilization", "Value")},
    "io.k8s.api.autoscaling.v2.MetricSpec": {
        "type": _one_of("ContainerResource", "External", "Object", "Pods", "Resource"),
    },
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": {
        "unhealthyPodEvictionPolicy": _one_of("AlwaysAllow", "IfHealthyBudget"),
    },
    "io.k8s.api.networking.v1.NetworkPolicyPort": {"protocol": _PROTOCOL},
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement": {
        "operator": {"enum": ["DoesNotExist", "Exists", "In", "NotIn"]},
    },
}
