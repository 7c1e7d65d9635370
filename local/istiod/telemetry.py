"""Istio's standard metrics from Envoy's own means.

Names and labels: https://istio.io/latest/docs/reference/config/metrics/. Requests are counted by the access
logger `envoy.access_loggers.stats`; connections and bytes of TCP are counters that each cluster has anyway
(the access logger would add a connection's total again at each flush), whose labels stand in the cluster's
`alt_stat_name`. Prometheus drops the prefix `envoy_`, see METRIC_RELABELINGS.
"""

import json
from typing import Any

from local.istiod.values import Json, typed
from local.istiod.workloads import UNKNOWN, Workload

NAMESPACE = "istio"
"""Our keys stand under this name in the metadata of clusters, endpoints, listeners, requests."""

_SOURCE_HEADERS = {name: f"x-istio-source-{name.replace('_', '-')}" for name in Workload().fields()}
"""Request headers by which a sidecar tells the next one who sends; only our own sidecars' values survive."""

SERVICE_LABELS = ("destination_service", "destination_service_name", "destination_service_namespace")

_UNKNOWN_LISTENER_METADATA = {"filter_metadata": {NAMESPACE: {UNKNOWN: UNKNOWN}}}

HISTOGRAM_BUCKETS = [
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000),
    *(300000, 600000, 1800000, 3600000),
]
"""Istio keeps Envoy's own limits, for times (ms) and sizes (bytes) alike."""


def listener_metadata() -> Json:
    """Return the metadata of a listener whose access logger says `unknown` where nothing is known.

    A tag without a value would be "": COALESCE falls back to this constant.
    """
    return _UNKNOWN_LISTENER_METADATA


def service_metadata(host: str, name: str, namespace: str) -> Json:
    """Return the metadata of a cluster, or virtual host, that stands for one service."""
    return {"filter_metadata": {NAMESPACE: dict(zip(SERVICE_LABELS, (host, name, namespace), strict=True))}}


def endpoint_metadata(workload: Workload) -> Json:
    """Return the metadata of an endpoint, from which the client's sidecar knows whom it called."""
    return {"filter_metadata": {NAMESPACE: workload.fields()}}


def source_headers(workload: Workload) -> list[Json]:
    """Return `request_headers_to_add` that name `workload` as the sender, whatever the request says."""
    return [
        {
            "header": {"key": header, "value": workload.fields()[name]},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
        for name, header in _SOURCE_HEADERS.items()
    ]


def source_reader() -> Json:
    """Return the HTTP filter that takes the sender's headers off a request, into its dynamic metadata."""
    rules = [
        {
            "header": header,
            "on_header_present": {"metadata_namespace": NAMESPACE, "key": name, "type": "STRING"},
            "on_header_missing": {"metadata_namespace": NAMESPACE, "key": name, "value": UNKNOWN},
            "remove": True,
        }
        for name, header in _SOURCE_HEADERS.items()
    ]
    config = typed("envoy.extensions.filters.http.header_to_metadata.v3.Config", request_rules=rules)
    return {"name": "envoy.filters.http.header_to_metadata", "typed_config": config}


def _first_known(*sources: str) -> str:
    """Return a command operator for the first of these kinds of metadata that has the key, else `unknown`."""
    operators = [{"command": "METADATA", "param": source} for source in sources]
    operators.append({"command": "METADATA", "param": f"LISTENER:{NAMESPACE}:{UNKNOWN}"})
    return f"%COALESCE({json.dumps({'operators': operators}, separators=(',', ':'))})%"


def _workload_tags(side: str, values: dict[str, str]) -> dict[str, str]:
    return {f"{side}_{name}": value for name, value in values.items()}


def _metadata_tags(side: str, kind: str) -> dict[str, str]:
    values = {name: _first_known(f"{kind}:{NAMESPACE}:{name}") for name in Workload().fields()}
    return _workload_tags(side, values)


def _request_tags() -> dict[str, str]:
    return {
        "request_protocol": "http",
        "response_code": "%RESPONSE_CODE%",
        "grpc_response_status": "%GRPC_STATUS_NUMBER%",
        "response_flags": "%RESPONSE_FLAGS%",
        "source_principal": UNKNOWN,
        "destination_principal": UNKNOWN,
    }


def source_tags(workload: Workload) -> dict[str, str]:
    """Return the labels, with their command operators, that the client's side reports."""
    return {
        "reporter": "source",
        **_workload_tags("source", workload.fields()),
        **_metadata_tags("destination", "UPSTREAM_HOST"),
        **{
            name: _first_known(f"CLUSTER:{NAMESPACE}:{name}", f"VIRTUAL_HOST:{NAMESPACE}:{name}")
            for name in SERVICE_LABELS
        },
        **_request_tags(),
        # What the server's side knows only; Istio reports the same.
        "connection_security_policy": UNKNOWN,
    }


def destination_tags(workload: Workload, service: tuple[str, str, str]) -> dict[str, str]:
    """Return the labels that the server's side reports; `service`: full name, name and namespace."""
    return {
        "reporter": "destination",
        **_metadata_tags("source", "DYNAMIC"),
        **_workload_tags("destination", workload.fields()),
        **dict(zip(SERVICE_LABELS, service, strict=True)),
        **_request_tags(),
        "connection_security_policy": "none",
    }


def access_log(tags: dict[str, str]) -> list[Json]:
    """Return the access logger that counts requests with `tags`. A CONNECT is TCP and is counted as that."""
    pieces = [{"name": name, "value_format": value} for name, value in sorted(tags.items())]
    histograms = {
        "request_duration_milliseconds": ("Milliseconds", "%DURATION%"),
        "request_bytes": ("Bytes", "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
        "response_bytes": ("Bytes", "%DOWNSTREAM_WIRE_BYTES_SENT%"),
    }
    config = typed(
        "envoy.extensions.access_loggers.stats.v3.Config",
        stats_scope={"prefix": "istio", "sharing_name": "istio"},
        counters=[{"stat": {"name": "requests_total", "tags": pieces}, "value_fixed": 1}],
        histograms=[
            {"stat": {"name": name, "tags": pieces}, "unit": unit, "value_format": value}
            for name, (unit, value) in histograms.items()
        ],
    )
    not_connect = {
        "header_filter": {
            "header": {"name": ":method", "string_match": {"exact": "CONNECT"}, "invert_match": True}
        }
    }
    return [{"name": "envoy.access_loggers.stats", "filter": not_connect, "typed_config": config}]


_TCP_LABELS = sorted(
    [
        "reporter",
        *(f"{side}_{name}" for side in ("source", "destination") for name in Workload().fields()),
        *SERVICE_LABELS,
        *("source_principal", "destination_principal", "request_protocol", "response_flags"),
        "connection_security_policy",
    ]
)


def tcp_stat_name(
    reporter: str, source: Workload, destination: Workload, service: tuple[str, str, str]
) -> str:
    """Return the `alt_stat_name` of a TCP cluster, from which the tags of `stats_config` take the labels."""
    labels = {
        "reporter": reporter,
        **_workload_tags("source", source.fields()),
        **_workload_tags("destination", destination.fields()),
        **dict(zip(SERVICE_LABELS, service, strict=True)),
        "source_principal": UNKNOWN,
        "destination_principal": UNKNOWN,
        "request_protocol": "tcp",
        "response_flags": "-",
        "connection_security_policy": UNKNOWN if reporter == "source" else "none",
    }
    return "".join(f"{name}={labels[name]};" for name in _TCP_LABELS)


_TCP_COUNTERS = {
    # Istio's view is the client's: sent is what the answer brings.
    "upstream_cx_rx_bytes_total": "istio_tcp_sent_bytes_total",
    "upstream_cx_tx_bytes_total": "istio_tcp_received_bytes_total",
    "upstream_cx_total": "istio_tcp_connections_opened_total",
    "upstream_cx_destroy": "istio_tcp_connections_closed_total",
}


def stats_config() -> Json:
    """Return the bootstrap's `stats_config`: few stats, for cheap scrapes, and their labels."""
    first, last = _TCP_LABELS[0], _TCP_LABELS[-1]
    tags = [
        {
            "tag_name": name,
            "regex": rf"^cluster\.(?:{first}=.*;)?({name}=(.*?);{chr(92) + '.' if name == last else ''})",
        }
        for name in _TCP_LABELS
    ]
    tags.append({"tag_name": "cluster_name", "regex": r"^cluster\.((.+?)\.)upstream_cx_active$"})
    patterns = [
        r"istio\..*",
        r"server\.live",
        r".*\.(version_text|update_rejected|warming_clusters)",
        r"cluster\.((in|out)bound\|.+|PassthroughCluster)\.upstream_cx_active",
        rf"cluster\.{first}=.*\.({'|'.join(_TCP_COUNTERS)})",
    ]
    included = [{"safe_regex": {"regex": pattern}} for pattern in patterns]
    return {
        "use_all_default_tags": False,
        "stats_tags": tags,
        "stats_matcher": {"inclusion_list": {"patterns": included}},
        "histogram_bucket_settings": [{"match": {"prefix": "istio"}, "buckets": HISTOGRAM_BUCKETS}],
    }


def _rename(old: str, new: str) -> dict[str, Any]:
    return {"source_labels": ["__name__"], "regex": old, "target_label": "__name__", "replacement": new}


METRIC_RELABELINGS: list[dict[str, Any]] = [
    *(_rename(f"envoy_cluster_{old}", new) for old, new in _TCP_COUNTERS.items()),
    _rename("envoy_(istio_.+)", "$1"),
    {
        "source_labels": ["__name__"],
        "regex": "istio_.+|envoy_server_live|envoy_cluster_upstream_cx_active",
        "action": "keep",
    },
]
"""Rules for the scrape of the sidecars, in Prometheus' spelling (metric_relabel_configs)."""
