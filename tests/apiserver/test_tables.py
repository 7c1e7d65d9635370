"""The columns of kubectl get."""

from datetime import UTC, datetime, timedelta

import pytest

from local.apiserver import selectors, tables
from local.apiserver.errors import ApiError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (3 * 3600 + 61, "3h1m"),
        (8 * 3600 + 120, "8h"),
        (47 * 3600, "47h"),
        (49 * 3600, "2d1h"),
        (9 * 86400, "9d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_durations_read_as_kubectl_prints_them(seconds, text):
    assert tables.human_duration(seconds) == text


def pod(*statuses, phase="Running", inits=(), init_statuses=(), deleted=False, conditions=()):
    metadata = {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {
            "containers": [{"name": s["name"]} for s in statuses] or [{"name": "app"}],
            "initContainers": list(inits),
        },
        "status": {
            "phase": phase,
            "conditions": [{"type": kind, "status": "True"} for kind in conditions],
            "containerStatuses": list(statuses),
            "initContainerStatuses": list(init_statuses),
        },
    }


def status(name="app", *, ready=False, restarts=0, last=None, started=True, **state):
    found = {"name": name, "ready": ready, "restartCount": restarts, "state": state, "started": started}
    return {**found, "lastState": {"terminated": last}} if last else found


RUN = {"running": {}}
SIDECAR = {"name": "istio-proxy", "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("obj", "ready", "text"),
    [
        (pod(phase="Pending"), "0/1", "Pending"),
        (pod(status(waiting={"reason": "ContainerCreating"}), phase="Pending"), "0/1", "ContainerCreating"),
        (pod(status(ready=True, **RUN)), "1/1", "Running"),
        (pod(status(**RUN)), "0/1", "Running"),
        (pod(status(waiting={"reason": "CrashLoopBackOff"})), "0/1", "CrashLoopBackOff"),
        (
            pod(status(terminated={"reason": "Completed", "exitCode": 0}), phase="Succeeded"),
            "0/1",
            "Completed",
        ),
        (pod(status(terminated={"reason": "Error", "exitCode": 1}), phase="Failed"), "0/1", "Error"),
        (pod(status(terminated={"exitCode": 3})), "0/1", "ExitCode:3"),
        (pod(status(terminated={"exitCode": 137, "signal": 9})), "0/1", "Signal:9"),
        (pod(status(ready=True, **RUN), deleted=True), "1/1", "Terminating"),
        (
            pod(
                status(ready=True, **RUN),
                inits=[SIDECAR],
                init_statuses=[status("istio-proxy", ready=True, **RUN)],
            ),
            "2/2",
            "Running",
        ),
        (
            pod(
                status(waiting={"reason": "PodInitializing"}),
                phase="Pending",
                inits=[SIDECAR],
                init_statuses=[status("istio-proxy", started=False, **RUN)],
            ),
            "0/2",
            "Init:0/1",
        ),
        (
            pod(
                phase="Pending",
                inits=[{"name": "a"}, {"name": "b"}],
                init_statuses=[
                    status("a", terminated={"exitCode": 0, "reason": "Completed"}),
                    status("b", waiting={"reason": "CrashLoopBackOff"}),
                ],
            ),
            "0/1",
            "Init:CrashLoopBackOff",
        ),
    ],
)
def test_status_of_pods(obj, ready, text):
    assert tables.pod_status(obj) == text
    assert tables.table("Pod", [obj])["rows"][0]["cells"][1] == ready


def test_restarts_say_when_the_last_one_was():
    ended = (datetime.now(UTC) - timedelta(seconds=65)).strftime("%Y-%m-%dT%H:%M:%SZ")
    obj = pod(status(ready=True, restarts=3, last={"finishedAt": ended}, **RUN))
    cell = tables.table("Pod", [obj])["rows"][0]["cells"][3]
    assert cell in ("3 (65s ago)", "3 (66s ago)")


def row(kind, **obj):
    meta = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return tables.table(kind, [{"metadata": meta, **obj}])["rows"][0]["cells"]


def test_cells_of_other_kinds():
    spec = {"type": "LoadBalancer", "clusterIP": "1.2.3.4", "ports": [{"port": 80, "nodePort": 30000}]}
    assert row("Service", spec=spec)[1:5] == ["LoadBalancer", "1.2.3.4", "<pending>", "80:30000/TCP"]
    ingress = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}
    assert row("Service", spec=spec, status=ingress)[3] == "127.0.0.1"
    done = {
        "succeeded": 1,
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:07Z",
        "conditions": [{"type": "Complete", "status": "True"}],
    }
    assert row("Job", spec={"completions": 1}, status=done)[1:4] == ["Complete", "1/1", "7s"]
    assert row("VirtualService", spec={"hosts": ["a", "b"], "gateways": ["g"]})[1:3] == ['["g"]', '["a","b"]']
    endpoints = [{"addresses": [f"1.1.1.{i}"]} for i in range(5)]
    cells = row("EndpointSlice", addressType="IPv4", ports=[{"port": 80}], endpoints=endpoints)
    assert cells[1:4] == ["IPv4", "80", "1.1.1.0,1.1.1.1,1.1.1.2 + 2 more..."]
    assert row("Secret", type="Opaque", data={"a": "", "b": ""})[1:3] == ["Opaque", 2]
    assert row("ServiceMonitor")[0] == "x"


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("", {"none", "web", "db"}),
        ("app=web", {"web"}),
        ("app==web", {"web"}),
        ("app!=web", {"none", "db"}),
        ("app in (web, db)", {"web", "db"}),
        ("app notin (web)", {"none", "db"}),
        ("app", {"web", "db"}),
        ("!app", {"none"}),
        ("app in (web,db),tier=back", {"db"}),
        ("size>3", {"db"}),
        ("size<3", set()),
    ],
)
def test_label_selectors(text, matching):
    objects = {
        "none": {},
        "web": {"app": "web"},
        "db": {"app": "db", "tier": "back", "size": "4"},
    }
    test = selectors.labels(text)
    assert {n for n, labels in objects.items() if test({"metadata": {"labels": labels}})} == matching


@pytest.mark.parametrize("text", ["a b", "a in b", "=x", "a in (b", "a,,b"])
def test_malformed_selectors_are_refused(text):
    with pytest.raises(ApiError) as caught:
        selectors.labels(text)
    assert caught.value.code == 400
