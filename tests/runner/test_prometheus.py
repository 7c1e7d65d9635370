"""Prometheus' configuration from ServiceMonitors, as its operator would make it."""

from local.prometheus import configuration, problems
from local.store import Store

MONITOR = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "ServiceMonitor",
    "metadata": {"name": "shop", "namespace": "shops"},
    "spec": {
        "selector": {"matchLabels": {"app": "shop"}},
        "jobLabel": "app",
        "podTargetLabels": ["version", "app.kubernetes.io/part-of"],
        "endpoints": [
            {
                "port": "http",
                "path": "/metrics",
                "interval": "30s",
                "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "go_.*", "action": "drop"}],
            }
        ],
    },
}


def store() -> Store:
    """One service with a pod, which a slice leads to, and a pod with a sidecar elsewhere."""
    made = Store()
    labels = {"app": "shop", "version": "v2", "app.kubernetes.io/part-of": "mall"}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shops"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop", "namespace": "shops", "labels": labels},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "shop-1", "namespace": "shops", "labels": labels},
            "spec": {"initContainers": [{"name": "istio-proxy"}], "containers": [{"name": "shop"}]},
            "status": {"podIP": "127.9.1.1", "phase": "Running"},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "shop-x",
                "namespace": "shops",
                "labels": {"kubernetes.io/service-name": "shop"},
            },
            "ports": [{"name": "http", "port": 80}, {"name": "other", "port": 81}],
            "endpoints": [{"addresses": ["127.9.1.1"], "targetRef": {"name": "shop-1"}}],
        },
        MONITOR,
    ]
    for obj in objects:
        made.create(obj)
    return made


def test_a_monitor_becomes_a_job_with_the_operators_labels(tmp_path):
    config, targets = configuration(store(), tmp_path)
    job = config["scrape_configs"][1]
    assert job == {
        "job_name": "serviceMonitor/shops/shop/0",
        "metrics_path": "/metrics",
        "scheme": "http",
        "file_sd_configs": [{"files": [str(tmp_path / "serviceMonitor_shops_shop_0.json")]}],
        "scrape_interval": "30s",
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"}],
    }
    assert targets["serviceMonitor_shops_shop_0.json"] == [
        {
            "targets": ["127.9.1.1:80"],
            "labels": {
                "version": "v2",
                "app_kubernetes_io_part_of": "mall",
                "namespace": "shops",
                "service": "shop",
                "endpoint": "http",
                "job": "shop",
                "pod": "shop-1",
            },
        }
    ]


def test_the_sidecars_are_a_job_of_their_own(tmp_path):
    config, targets = configuration(store(), tmp_path)
    assert config["scrape_configs"][0]["scrape_interval"] == "5s"
    assert [entry["targets"] for entry in targets["sidecars.json"]] == [["127.9.1.1:15090"]]


def test_a_pod_that_has_ended_is_no_target(tmp_path):
    made = store()
    pod = made.get("Pod", "shops", "shop-1")
    pod["status"]["phase"] = "Succeeded"
    made.update(pod, status=True)
    assert configuration(made, tmp_path)[1]["sidecars.json"] == []


def test_other_services_are_left_alone(tmp_path):
    made = store()
    service = made.get("Service", "shops", "shop")
    service["metadata"]["labels"]["app"] = "other"
    made.update(service)
    assert configuration(made, tmp_path)[1]["serviceMonitor_shops_shop_0.json"] == []


def test_fields_that_are_not_followed_are_named():
    spec = {**MONITOR["spec"], "sampleLimit": 5, "endpoints": [{"port": "http", "bearerTokenFile": "/x"}]}
    assert [path for path, _ in problems({**MONITOR, "spec": spec})] == [
        "spec.sampleLimit",
        "spec.endpoints[0].bearerTokenFile",
    ]
    assert problems(MONITOR) == []
    assert problems({"kind": "Service", "spec": {"sampleLimit": 5}}) == []
