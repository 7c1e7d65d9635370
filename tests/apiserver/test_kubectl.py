"""The real kubectl: objects are applied, read, changed and deleted as on a cluster."""

import json
import subprocess
import time

import pytest
import yaml

from .conftest import KUBECTL, SECONDS, container, deployment, running_pod


def dump(*objects):
    return yaml.safe_dump_all(objects)


def spec_of(api, ns, name="web"):
    return api.do(lambda s: s.get("Deployment", ns, name))["spec"]


def test_apply_says_created_unchanged_configured(api, ns):
    text = dump(deployment())
    assert api.kubectl("apply", "-f", "-", text=text, namespace=ns) == "deployment.apps/web created\n"
    assert api.kubectl("apply", "-f", "-", text=text, namespace=ns) == "deployment.apps/web unchanged\n"
    text = dump(deployment(replicas=3))
    assert api.kubectl("apply", "-f", "-", text=text, namespace=ns) == "deployment.apps/web configured\n"
    assert spec_of(api, ns)["replicas"] == 3
    assert spec_of(api, ns)["progressDeadlineSeconds"] == 600


def test_apply_removes_what_was_taken_out_of_the_file(api, ns):
    first = deployment()
    first["spec"]["template"]["spec"]["containers"].append(container("extra"))
    first["metadata"]["labels"]["gone"] = "soon"
    api.kubectl("apply", "-f", "-", text=dump(first), namespace=ns)
    api.kubectl("apply", "-f", "-", text=dump(deployment()), namespace=ns)
    stored = api.do(lambda s: s.get("Deployment", ns, "web"))
    assert [c["name"] for c in stored["spec"]["template"]["spec"]["containers"]] == ["app"]
    assert stored["metadata"]["labels"] == {"app": "web"}


def test_apply_of_files_and_folders(api, ns, tmp_path):
    (tmp_path / "a.yaml").write_text(
        dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    )
    (tmp_path / "b.yaml").write_text(dump(deployment()))
    out = api.kubectl("apply", "-f", str(tmp_path), namespace=ns)
    assert out == "configmap/a created\ndeployment.apps/web created\n"
    out = api.kubectl("delete", "-f", str(tmp_path / "a.yaml"), "-f", str(tmp_path / "b.yaml"), namespace=ns)
    assert "deployment.apps" in out
    assert api.do(lambda s: s.select("Deployment", ns) + s.select("ConfigMap", ns)) == []


def test_dry_runs_and_diff_change_nothing(api, ns):
    text = dump(deployment())
    out = api.kubectl("apply", "--dry-run=server", "-f", "-", text=text, namespace=ns)
    assert out == "deployment.apps/web created (server dry run)\n"
    api.kubectl("apply", "--dry-run=client", "-f", "-", text=text, namespace=ns)
    assert api.do(lambda s: s.select("Deployment", ns)) == []
    api.kubectl("apply", "-f", "-", text=text, namespace=ns)
    assert api.kubectl("diff", "-f", "-", text=text, namespace=ns) == ""
    api.kubectl("diff", "-f", "-", text=dump(deployment(replicas=2)), namespace=ns, code=1)
    assert spec_of(api, ns)["replicas"] == 1
    api.kubectl("delete", "deploy/web", "--dry-run=server", namespace=ns)
    assert spec_of(api, ns)["replicas"] == 1


def test_server_side_apply_and_conflict(api, ns):
    arguments = ("apply", "--server-side", "-f", "-")
    text = dump(deployment())
    assert "serverside-applied" in api.kubectl(*arguments, text=text, namespace=ns)
    before = api.do(lambda s: s.get("Deployment", ns, "web"))["metadata"]["resourceVersion"]
    api.kubectl(*arguments, text=text, namespace=ns)
    assert api.do(lambda s: s.get("Deployment", ns, "web"))["metadata"]["resourceVersion"] == before
    api.kubectl("patch", "deploy/web", "-p", '{"spec": {"replicas": 4}}', namespace=ns)
    error = api.kubectl(*arguments, text=text, namespace=ns, code=1)
    assert 'conflict with "kubectl-patch"' in error
    assert ".spec.replicas" in error
    api.kubectl(*arguments, "--force-conflicts", text=text, namespace=ns)
    assert spec_of(api, ns)["replicas"] == 1


def test_client_side_apply_moves_to_server_side_apply(api, ns):
    first = deployment()
    first["metadata"]["annotations"] = {"note": "x"}
    api.kubectl("apply", "-f", "-", text=dump(first), namespace=ns)
    api.kubectl("apply", "--server-side", "-f", "-", text=dump(deployment()), namespace=ns)
    meta = api.do(lambda s: s.get("Deployment", ns, "web"))["metadata"]
    assert "note" not in meta.get("annotations", {})


@pytest.mark.parametrize(
    ("arguments", "expected", "read"),
    [
        (["scale", "deploy/web", "--replicas=5"], "scaled", lambda o: o["spec"]["replicas"] == 5),
        (
            ["set", "image", "deploy/web", "app=example/app:2"],
            "image updated",
            lambda o: o["spec"]["template"]["spec"]["containers"][0]["image"] == "example/app:2",
        ),
        (
            ["set", "env", "deploy/web", "A=b"],
            "env updated",
            lambda o: o["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "b"}],
        ),
        (
            ["rollout", "restart", "deploy/web"],
            "restarted",
            lambda o: "kubectl.kubernetes.io/restartedAt" in o["spec"]["template"]["metadata"]["annotations"],
        ),
        (["rollout", "pause", "deploy/web"], "paused", lambda o: o["spec"]["paused"] is True),
        (
            ["label", "deploy/web", "tier=front"],
            "labeled",
            lambda o: o["metadata"]["labels"]["tier"] == "front",
        ),
        (
            ["label", "deploy/web", "app-"],
            "unlabeled",
            lambda o: "app" not in o["metadata"].get("labels", {}),
        ),
        (["annotate", "deploy/web", "a=b"], "annotated", lambda o: o["metadata"]["annotations"]["a"] == "b"),
        (
            [
                "patch",
                "deploy/web",
                "--type=json",
                "-p",
                '[{"op":"replace","path":"/spec/replicas","value":2}]',
            ],
            "patched",
            lambda o: o["spec"]["replicas"] == 2,
        ),
        (
            ["patch", "deploy/web", "--type=merge", "-p", '{"spec":{"minReadySeconds":3}}'],
            "patched",
            lambda o: o["spec"]["minReadySeconds"] == 3,
        ),
        (
            [
                "patch",
                "deploy/web",
                "--subresource=status",
                "--type=merge",
                "-p",
                '{"status":{"replicas":7}}',
            ],
            "patched",
            lambda o: o["status"]["replicas"] == 7,
        ),
    ],
)
def test_changes(api, ns, arguments, expected, read):
    api.kubectl("apply", "-f", "-", text=dump(deployment()), namespace=ns)
    assert expected in api.kubectl(*arguments, namespace=ns)
    assert read(api.do(lambda s: s.get("Deployment", ns, "web")))


def test_edit_and_replace(api, ns, tmp_path):
    api.kubectl("apply", "-f", "-", text=dump(deployment()), namespace=ns)
    env = {**api.env(), "EDITOR": "sed -i s/replicas:\\ 1/replicas:\\ 6/"}
    command = [str(KUBECTL), "-n", ns, "edit", "deploy/web"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout == "deployment.apps/web edited\n"
    assert spec_of(api, ns)["replicas"] == 6
    api.kubectl("replace", "-f", "-", text=dump(deployment(replicas=2)), namespace=ns)
    assert spec_of(api, ns)["replicas"] == 2


def test_outputs_of_get(api, ns):
    running_pod(api, ns, "web-1", ("app", "side"))
    assert api.kubectl("get", "pods", "-l", "app=web", "-o", "name", namespace=ns) == "pod/web-1\n"
    assert api.kubectl("get", "pods", "-l", "app in (x, y)", "-o", "name", namespace=ns) == ""
    assert api.kubectl("get", "pods", "-l", "app,!other", "-o", "name", namespace=ns) == "pod/web-1\n"
    arguments = ("get", "pods", "--field-selector")
    assert api.kubectl(*arguments, "status.phase=Running", "-o", "name", namespace=ns) == "pod/web-1\n"
    assert api.kubectl(*arguments, "metadata.name!=web-1", "-o", "name", namespace=ns) == ""
    assert "field label not supported: spec.foo" in api.kubectl(
        *arguments, "spec.foo=1", namespace=ns, code=1
    )
    header, row = api.kubectl("get", "pods", "-o", "wide", namespace=ns).splitlines()
    assert header.split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert row.split()[:4] == ["web-1", "2/2", "Running", "0"]
    assert row.split()[5] == "127.90.1.1"
    out = api.kubectl("get", "pod", "web-1", "-o", "jsonpath={.spec.containers[*].name}", namespace=ns)
    assert out == "app side"
    out = api.kubectl("get", "pods", "-o", "custom-columns=N:.metadata.name,P:.status.phase", namespace=ns)
    assert out.split() == ["N", "P", "web-1", "Running"]
    assert json.loads(api.kubectl("get", "pods", "-o", "json", namespace=ns))["kind"] == "List"
    assert yaml.safe_load(api.kubectl("get", "pod", "web-1", "-o", "yaml", namespace=ns))["kind"] == "Pod"
    assert f"{ns} " in api.kubectl("get", "pods", "-A")
    assert "APP" in api.kubectl("get", "pods", "-L", "app", namespace=ns)
    out = api.kubectl("get", "pods", "--sort-by=.metadata.name", "--show-labels", namespace=ns)
    assert "app=web" in out
    error = api.kubectl("get", "pod", "nope", namespace=ns, code=1)
    assert error == 'Error from server (NotFound): pods "nope" not found\n'
    assert 'doesn\'t have a resource type "nonsense"' in api.kubectl("get", "nonsense", code=1)


def test_get_all_and_describe(api, ns):
    api.kubectl("apply", "-f", "-", text=dump(deployment()), namespace=ns)
    running_pod(api, ns)
    api.kubectl("expose", "deploy/web", "--port=80", namespace=ns)
    out = api.kubectl("get", "all", namespace=ns)
    assert [line.split()[0] for line in out.splitlines() if "/web" in line] == [
        "pod/web-1",
        "service/web",
        "deployment.apps/web",
    ]
    uid = api.do(lambda s: s.get("Pod", ns, "web-1"))["metadata"]["uid"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web-1.1", "namespace": ns},
        "involvedObject": {"kind": "Pod", "namespace": ns, "name": "web-1", "uid": uid},
        "reason": "Started",
        "message": "Started container app",
        "type": "Normal",
        "source": {"component": "kubelet"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }
    api.do(lambda s: s.create(event))
    out = api.kubectl("describe", "pod", "web-1", namespace=ns)
    assert "Started container app" in out
    assert "QoS Class:" in out
    assert "RollingUpdateStrategy:  0 max unavailable, 1 max surge" in api.kubectl(
        "describe", "deploy/web", namespace=ns
    )
    assert "Started container app" in api.kubectl("events", namespace=ns)
    assert "pod/web-1" in api.kubectl("get", "events", namespace=ns)
    assert "Port:                     <unset>  80/TCP" in api.kubectl("describe", "svc", "web", namespace=ns)


def test_custom_resources(api, ns):
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "web"},
        "spec": {"host": "web", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]},
    }
    api.kubectl("apply", "-f", "-", text=dump(rule), namespace=ns)
    assert api.kubectl("get", "dr", namespace=ns).split()[:3] == ["NAME", "HOST", "AGE"]
    # An older version of the same API sees the same object.
    out = api.kubectl(
        "get", "destinationrules.v1beta1.networking.istio.io", "web", "-o", "yaml", namespace=ns
    )
    assert yaml.safe_load(out)["apiVersion"] == "networking.istio.io/v1beta1"
    old = {**rule, "apiVersion": "networking.istio.io/v1beta1", "spec": {**rule["spec"], "host": "other"}}
    api.kubectl("apply", "-f", "-", text=dump(old), namespace=ns)
    assert api.do(lambda s: s.get("DestinationRule", ns, "web"))["spec"]["host"] == "other"
    error = api.kubectl("patch", "dr/web", "-p", '{"spec":{"host":"z"}}', namespace=ns, code=1)
    assert "application/strategic-merge-patch+json is not supported" in error
    api.kubectl("patch", "dr/web", "--type=merge", "-p", '{"spec":{"host":"z"}}', namespace=ns)
    assert "Host:  z" in api.kubectl("describe", "dr", "web", namespace=ns)


def test_wait_for_condition_jsonpath_and_delete(api, ns):
    api.kubectl("apply", "-f", "-", text=dump(deployment()), namespace=ns)
    error = api.kubectl(
        "wait", "deploy/web", "--for=condition=Available", "--timeout=1s", namespace=ns, code=1
    )
    assert "timed out waiting" in error
    waits = [
        subprocess.Popen([str(KUBECTL), "-n", ns, *arguments, "--timeout=15s"], env=api.env())
        for arguments in (
            ["wait", "deploy/web", "--for=condition=Available"],
            ["wait", "deploy/web", "--for=jsonpath={.status.readyReplicas}=1"],
            ["rollout", "status", "deploy/web"],
        )
    ]
    time.sleep(0.3)
    status = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "conditions": [{"type": "Available", "status": "True"}],
    }

    def report(store):
        obj = store.get("Deployment", ns, "web")
        obj["status"] = status
        store.update(obj, status=True)

    api.do(report)
    assert [wait.wait(SECONDS) for wait in waits] == [0, 0, 0]
    gone = subprocess.Popen([str(KUBECTL), "-n", ns, "wait", "deploy/web", "--for=delete"], env=api.env())
    api.kubectl("delete", "deploy/web", namespace=ns)
    assert gone.wait(SECONDS) == 0


def test_watch_prints_changes_and_who_leaves_the_selection(api, ns):
    pod = running_pod(api, ns)
    command = [str(KUBECTL), "-n", ns, "get", "pods", "-l", "app=web", "-w", "--output-watch-events"]
    with subprocess.Popen(command, env=api.env(), stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout.readline().split()[:2] == ["EVENT", "NAME"]
            assert watch.stdout.readline().split()[:3] == ["ADDED", "web-1", "1/1"]

            def relabel(value):
                def change(obj):
                    obj["metadata"]["labels"] = {"app": value}

                return lambda s: s.mark(pod, change)

            api.do(relabel("other"))
            assert watch.stdout.readline().split()[:2] == ["DELETED", "web-1"]
            api.do(relabel("web"))
            assert watch.stdout.readline().split()[:2] == ["ADDED", "web-1"]
        finally:
            watch.kill()


def test_deleting_a_pod_waits_for_the_kubelet(api, ns):
    running_pod(api, ns)
    command = [str(KUBECTL), "-n", ns, "delete", "pod", "web-1", "--grace-period=3"]
    with subprocess.Popen(command, env=api.env(), stdout=subprocess.PIPE, text=True) as deletion:
        deadline = time.monotonic() + SECONDS
        while "deletionTimestamp" not in api.do(lambda s: s.get("Pod", ns, "web-1"))["metadata"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pod = api.do(lambda s: s.get("Pod", ns, "web-1"))
        assert pod["metadata"]["deletionGracePeriodSeconds"] == 3
        assert api.kubectl("get", "pod", "web-1", namespace=ns).split()[7] == "Terminating"
        assert deletion.poll() is None
        api.do(lambda s: s.remove(pod))
        assert deletion.wait(SECONDS) == 0


def test_delete_all_orphans_and_foreground(api, ns):
    for name in ("a", "b"):
        api.kubectl("create", "configmap", name, namespace=ns)
    api.kubectl("delete", "cm", "--all", namespace=ns)
    assert api.do(lambda s: s.select("ConfigMap", ns)) == []
    api.kubectl("apply", "-f", "-", text=dump(deployment("one"), deployment("two")), namespace=ns)
    for name, policy, finalizer in (
        ("one", "foreground", "foregroundDeletion"),
        ("two", "orphan", "orphan"),
    ):
        api.kubectl("delete", "deploy", name, f"--cascade={policy}", "--wait=false", namespace=ns)
        assert api.do(lambda s, n=name: s.get("Deployment", ns, n))["metadata"]["finalizers"] == [finalizer]


def test_terminating_namespace_takes_nothing_new(api, ns):
    api.kubectl("delete", "ns", ns, "--wait=false")
    assert "Terminating" in api.kubectl("get", "ns", ns)
    error = api.kubectl("create", "configmap", "late", namespace=ns, code=1)
    assert f"unable to create new content in namespace {ns} because it is being terminated" in error
    assert 'namespaces "nowhere" not found' in api.kubectl("create", "cm", "x", namespace="nowhere", code=1)
    assert "may not be deleted" in api.kubectl("delete", "ns", "default", code=1)


@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        (["secret", "generic", "s", "--from-literal=a=b"], "Secret", "s"),
        (["configmap", "c", "--from-literal=a=b"], "ConfigMap", "c"),
        (["serviceaccount", "sa"], "ServiceAccount", "sa"),
        (["deployment", "d", "--image=x:1", "--replicas=0", "--port=80"], "Deployment", "d"),
        (["job", "j", "--image=x:1", "--", "date", "-u"], "Job", "j"),
        (["service", "clusterip", "svc", "--tcp=80:web"], "Service", "svc"),
        (["service", "nodeport", "np", "--tcp=80:8080"], "Service", "np"),
        (["role", "r", "--verb=get,list", "--resource=pods"], "Role", "r"),
        (["rolebinding", "rb", "--role=r", "--serviceaccount=x:y"], "RoleBinding", "rb"),
        (["pdb", "p", "--min-available=50%", "--selector=app=x"], "PodDisruptionBudget", "p"),
    ],
)
def test_create_sends_protobuf_that_means_what_its_json_says(api, ns, arguments, kind, name):
    options = ["--dry-run=client", "-o", "json"]
    text = api.kubectl("create", *arguments[:3], *options, *arguments[3:], namespace=ns)
    wanted = json.loads(text)
    api.kubectl("create", *arguments, namespace=ns)
    stored = api.do(lambda s: s.get(kind, ns, name))
    assert contains(stored, {key: value for key, value in wanted.items() if key != "status"})


def test_autoscale_is_stored(api, ns):
    api.kubectl("apply", "-f", "-", text=dump(deployment()), namespace=ns)
    api.kubectl("autoscale", "deploy/web", "--min=1", "--max=3", "--cpu=50%", namespace=ns)
    stored = api.do(lambda s: s.get("HorizontalPodAutoscaler", ns, "web"))["spec"]
    target = {"type": "Utilization", "averageUtilization": 50}
    assert stored == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    row = api.kubectl("get", "hpa", namespace=ns).splitlines()[1]
    assert "cpu: <unknown>/50%" in row


def contains(whole, part):
    """Tell whether all that `part` says stands in `whole`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            contains(whole.get(key), value) for key, value in part.items() if value not in (None, {}, [])
        )
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


def test_commands_about_the_cluster(api):
    assert "Server Version: v1.37" in api.kubectl("version")
    assert "is running at https://127." in api.kubectl("cluster-info")
    out = api.kubectl("api-resources")
    assert {"deployments", "virtualservices", "servicemonitors"} <= {
        line.split()[0] for line in out.splitlines()
    }
    assert api.kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert "c756-admin" in api.kubectl("auth", "whoami")
    assert "FIELD: replicas <integer>" in api.kubectl("explain", "deployment.spec.replicas")
    assert "VirtualService" in api.kubectl("explain", "vs")
    assert "Metrics API not available" in api.kubectl("top", "pod", code=1)


def test_refused_subresources_say_what_to_do_instead(api, ns):
    running_pod(api, ns)
    error = api.kubectl("attach", "web-1", namespace=ns, code=1)
    assert "the one-machine mesh has no attach: use kubectl logs -f" in error
    error = api.kubectl("port-forward", "web-1", "18080:80", namespace=ns, code=1)
    assert "the one-machine mesh has no port-forward" in error
