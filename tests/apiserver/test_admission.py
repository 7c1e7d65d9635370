"""Defaults, injection, addresses, and what is refused with its path."""

import copy

import pytest
import yaml

from local.apiserver import defaults, support
from local.kinds import BY_KIND

from .conftest import container, deployment, running_pod


def apply(api, ns, *objects, code=0):
    return api.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects), namespace=ns, code=code)


def service(name="web", **spec):
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    body = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def route(*destinations):
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web"},
        "spec": {"hosts": ["web"], "http": [{"route": list(destinations)}]},
    }


def destination(subset, weight, host="web"):
    return {"destination": {"host": host, "subset": subset}, "weight": weight}


def subsets(*names):
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "web"},
        "spec": {"host": "web", "subsets": [{"name": n, "labels": {"version": n}} for n in names]},
    }


def job(name="once", **spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [container()]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


@pytest.mark.parametrize(
    "obj",
    [deployment(), deployment(strategy={"type": "Recreate"}), service(), service(type="LoadBalancer"), job()],
)
def test_defaults_are_set_once_and_never_change_again(obj):
    once = copy.deepcopy(obj)
    defaults.apply(once)
    twice = copy.deepcopy(once)
    defaults.apply(twice)
    assert once != obj
    assert twice == once


def test_a_deployment_reads_as_on_a_cluster(api, ns):
    apply(api, ns, deployment())
    stored = api.do(lambda s: s.get("Deployment", ns, "web"))["spec"]
    app = stored["template"]["spec"]["containers"][0]
    assert stored["progressDeadlineSeconds"] == 600
    assert stored["revisionHistoryLimit"] == 10
    assert stored["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert app["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert (app["imagePullPolicy"], app["terminationMessagePolicy"]) == ("IfNotPresent", "File")


def test_pods_of_controllers_are_injected_and_completed_too(api, ns):
    def label(store):
        store.mark(
            store.get("Namespace", "", ns),
            lambda n: n["metadata"].setdefault("labels", {}).update({"istio-injection": "enabled"}),
        )

    api.do(label)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": ns},
        "spec": {"containers": [container(ports=[{"containerPort": 80}])]},
    }
    stored = api.do(lambda s: s.create(pod))
    assert [c["name"] for c in stored["spec"]["initContainers"]] == ["istio-proxy"]
    assert stored["spec"]["initContainers"][0]["restartPolicy"] == "Always"
    assert stored["spec"]["initContainers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert stored["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert api.kubectl("get", "pod", "p", namespace=ns).split()[6] == "0/2"
    opted_out = copy.deepcopy(pod)
    opted_out["metadata"] = {"name": "q", "namespace": ns, "labels": {"sidecar.istio.io/inject": "false"}}
    assert "initContainers" not in api.do(lambda s: s.create(opted_out))["spec"]


def test_services_get_addresses_and_keep_them(api, ns):
    apply(api, ns, service("one"), service("two", type="NodePort"), service("none", clusterIP="None"))
    one, two, none = (api.do(lambda s, n=n: s.get("Service", ns, n))["spec"] for n in ("one", "two", "none"))
    assert one["clusterIP"] != two["clusterIP"]
    assert one["clusterIP"].startswith("127.92.") or one["clusterIP"].startswith("127.")
    assert one["clusterIPs"] == [one["clusterIP"]]
    assert none["clusterIP"] == "None"
    assert 30000 <= two["ports"][0]["nodePort"] <= 32767
    text = yaml.safe_dump(service("two", type="NodePort", selector={"app": "other"}))
    api.kubectl("replace", "-f", "-", text=text, namespace=ns)
    after = api.do(lambda s: s.get("Service", ns, "two"))["spec"]
    assert (after["clusterIP"], after["ports"]) == (two["clusterIP"], two["ports"])
    assert after["selector"] == {"app": "other"}
    error = apply(api, ns, service("one", clusterIP="127.1.2.3"), code=1)
    assert "spec.clusterIPs[0]" in error
    assert "field is immutable" in error


def test_jobs_get_the_selector_of_their_own_pods(api, ns):
    apply(api, ns, job())
    stored = api.do(lambda s: s.get("Job", ns, "once"))
    uid = stored["metadata"]["uid"]
    assert stored["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert stored["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "once"
    assert apply(api, ns, job()) == "job.batch/once unchanged\n"
    api.kubectl("replace", "-f", "-", text=yaml.safe_dump(job(backoffLimit=2)), namespace=ns)
    assert api.do(lambda s: s.get("Job", ns, "once"))["spec"]["backoffLimit"] == 2
    changed = job()
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    assert "field is immutable" in apply(api, ns, changed, code=1)


def test_secrets_take_plain_text(api, ns):
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"key": "väl"},
        "data": {"other": "YQ=="},
    }
    apply(api, ns, secret)
    stored = api.do(lambda s: s.get("Secret", ns, "s"))
    assert stored["data"] == {"key": "dsOkbA==", "other": "YQ=="}
    assert "stringData" not in stored
    api.kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        text=yaml.safe_dump({**secret, "metadata": {"name": "t"}}),
        namespace=ns,
    )
    stored = api.do(lambda s: s.get("Secret", ns, "t"))
    assert stored["data"]["key"] == "dsOkbA=="


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d: d["spec"].update(replcas=1), "spec.replcas"),
        (lambda d: d["spec"].update(replicas="1"), "spec.replicas"),
        (
            lambda d: d["spec"]["template"]["spec"]["containers"][0].update(imagee="x"),
            "spec.template.spec.containers[0].imagee",
        ),
        (lambda d: d["spec"]["selector"]["matchLabels"].update(x="y"), "spec.selector.matchLabels.x"),
        (
            lambda d: d["spec"]["template"]["spec"].update(restartPolicy="Never"),
            "spec.template.spec.restartPolicy",
        ),
        (lambda d: d["spec"]["template"]["spec"].update(containers=[]), "spec.template.spec.containers"),
    ],
)
def test_deployments_are_refused_with_the_field(api, ns, change, path):
    broken = deployment()
    change(broken)
    error = api.kubectl(
        "create", "--validate=false", "-f", "-", text=yaml.safe_dump(broken), namespace=ns, code=1
    )
    assert 'The Deployment "web" is invalid' in error
    assert f"{path}:" in error
    assert api.do(lambda s: s.select("Deployment", ns)) == []


def test_a_refused_change_keeps_what_was_there(api, ns):
    apply(api, ns, service(), subsets("v1", "v2"))
    apply(api, ns, route(destination("v1", 90), destination("v2", 10)))
    before = api.do(lambda s: s.get("VirtualService", ns, "web"))
    for broken, text in (
        (route(destination("v1", -90), destination("v2", 10)), "spec.http[0].route[0].weight: must not be"),
        (route(destination("v1", 90), destination("v9", 10)), 'defines subset "v9"'),
        (route({**destination("v1", 90), "wieght": 1}), "spec.http[0].route[0].wieght: unknown field"),
        (route(destination("v1", "90")), "spec.http[0].route[0].weight: must be"),
    ):
        assert text in apply(api, ns, broken, code=1)
    assert api.do(lambda s: s.get("VirtualService", ns, "web")) == before


def test_a_subset_of_a_later_rule_is_refused_until_it_is_there(api, ns):
    apply(api, ns, service())
    assert "subset" in apply(api, ns, route(destination("v1", 1)), code=1)
    apply(api, ns, subsets("v1"))
    apply(api, ns, route(destination("v1", 1)))


def test_what_the_mesh_cannot_do_is_refused(api, ns):
    error = apply(api, ns, service(sessionAffinity="ClientIP"), code=1)
    assert "spec.sessionAffinity" in error
    assert "the one-machine mesh" in error


def test_selectors_and_pod_specs_are_immutable(api, ns):
    apply(api, ns, deployment())
    changed = deployment()
    changed["spec"]["selector"]["matchLabels"] = {"app": "other"}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert "spec.selector: Invalid value" in apply(api, ns, changed, code=1)
    running_pod(api, ns)
    error = api.kubectl("patch", "pod", "web-1", "-p", '{"spec":{"hostname":"x"}}', namespace=ns, code=1)
    assert "pod updates may not change fields other than" in error
    api.kubectl("set", "image", "pod/web-1", "app=example/app:2", namespace=ns)


def test_immutable_secrets(api, ns):
    api.kubectl("create", "secret", "generic", "s", "--from-literal=a=b", namespace=ns)
    api.kubectl("patch", "secret", "s", "-p", '{"immutable":true}', namespace=ns)
    error = api.kubectl("patch", "secret", "s", "-p", '{"stringData":{"a":"c"}}', namespace=ns, code=1)
    assert "immutable" in error


def test_kinds_without_effect_are_kinds_of_the_mesh():
    assert set(support.WITHOUT_EFFECT_KINDS) <= set(BY_KIND)
    assert {path.split(".")[0] for path in support.WITHOUT_EFFECT} <= set(BY_KIND)
