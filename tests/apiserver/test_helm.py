"""Helm's command line and engine against the API server."""

import json

import pytest
import yaml

from local.helm.values import ValuesError, collect

TEMPLATES = {
    "config.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-config"}
data: {replicas: "{{ .Values.replicas }}"}
""",
    "extra.yaml": """
{{- if .Values.extra }}
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-extra"}
stringData: {key: value}
{{- end }}
""",
    "app.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec: {containers: [{name: app, image: "x:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec: {selector: {app: "{{ .Release.Name }}"}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: "{{ .Release.Name }}"}
spec: {host: "{{ .Release.Name }}", subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: "{{ .Release.Name }}"}
spec:
  hosts: ["{{ .Release.Name }}"]
  http: [{route: [{destination: {host: "{{ .Release.Name }}", subset: "{{ .Values.subset }}"}}]}]
""",
    "hook.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-hook", annotations: {helm.sh/hook: pre-install}}
""",
    "NOTES.txt": "Release {{ .Release.Name }} is there.\n",
}


@pytest.fixture
def chart(tmp_path):
    folder = tmp_path / "demo"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: '9'\n")
    (folder / "values.yaml").write_text("replicas: 1\nextra: true\nsubset: v1\n")
    schema = {"properties": {"replicas": {"type": "integer", "minimum": 0}}}
    (folder / "values.schema.json").write_text(json.dumps(schema))
    for name, text in TEMPLATES.items():
        (folder / "templates" / name).write_text(text)
    return str(folder)


def test_the_life_of_a_release(api, ns, chart):
    where = ("-n", ns)
    out = api.helm("upgrade", "--install", "demo", chart, *where, "--set", "replicas=2")
    assert out.splitlines()[0] == 'Release "demo" does not exist. Installing it now.'
    assert "STATUS: deployed\nREVISION: 1\nDESCRIPTION: Install complete\nTEST SUITE: None\n" in out
    assert "NOTES:\nRelease demo is there." in out
    assert api.do(lambda s: s.get("Deployment", ns, "demo"))["spec"]["replicas"] == 2
    assert api.do(lambda s: s.get("Secret", ns, "demo-extra"))["data"] == {"key": "dmFsdWU="}

    out = api.helm("upgrade", "demo", chart, *where, "--set", "replicas=3,extra=false")
    assert out.splitlines()[0] == 'Release "demo" has been upgraded. Happy Helming!'
    assert api.do(lambda s: s.find("Secret", ns, "demo-extra")) is None
    assert yaml.safe_load(api.helm("get", "values", "demo", *where, "-o", "yaml")) == {
        "replicas": 3,
        "extra": False,
    }
    assert 'replicas: "3"' in api.helm("get", "manifest", "demo", *where)

    assert api.helm("rollback", "demo", "1", *where) == "Rollback was a success! Happy Helming!\n"
    assert api.do(lambda s: s.get("Deployment", ns, "demo"))["spec"]["replicas"] == 2
    assert api.do(lambda s: s.find("Secret", ns, "demo-extra")) is not None
    history = json.loads(api.helm("history", "demo", *where, "-o", "json"))
    assert [(r["revision"], r["status"], r["description"]) for r in history] == [
        (1, "superseded", "Install complete"),
        (2, "superseded", "Upgrade complete"),
        (3, "deployed", "Rollback to 1"),
    ]
    header, row = api.helm("list", *where).splitlines()
    assert header.split()[:3] == ["NAME", "NAMESPACE", "REVISION"]
    assert row.split("\t")[0].strip() == "demo"
    assert json.loads(api.helm("list", "-A", "-o", "json", "--filter", "^demo$"))[0]["chart"] == "demo-0.1.0"
    assert "REVISION: 3" in api.helm("status", "demo", *where)

    assert api.helm("uninstall", "demo", *where) == 'release "demo" uninstalled\n'
    assert api.do(lambda s: s.select("Deployment", ns) + s.select("Secret", ns)) == []
    assert api.helm("uninstall", "demo", *where, "--ignore-not-found") == 'release "demo" uninstalled\n'


def test_the_engine_owns_its_fields_by_the_name_of_the_real_program(api, ns, chart):
    api.helm("install", "demo", chart, "-n", ns)
    fields = api.do(lambda s: s.get("ConfigMap", ns, "demo-config"))["metadata"]["managedFields"]
    assert [(entry["manager"], entry["operation"]) for entry in fields] == [("helm", "Apply")]


def test_another_ones_change_is_a_conflict(api, ns, chart):
    api.helm("install", "demo", chart, "-n", ns)
    api.kubectl("scale", "deploy/demo", "--replicas=7", namespace=ns)
    error = api.helm("upgrade", "demo", chart, "-n", ns, "--set", "replicas=4", code=1)
    assert ".spec.replicas" in error
    assert api.do(lambda s: s.get("Deployment", ns, "demo"))["spec"]["replicas"] == 7


def test_refusals(api, ns, chart):
    error = api.helm("install", "demo", chart, "-n", ns, "--set", "replicas=-1", code=1)
    assert "replicas" in error
    assert "minimum" in error
    assert api.do(lambda s: s.select("ConfigMap", ns)) == []
    error = api.helm("install", "demo", chart, "-n", ns, "--set", "subset=v9", code=1)
    assert 'defines subset "v9"' in error
    assert api.helm("status", "nope", "-n", ns, code=1) == "Error: release: not found\n"
    assert "not found" in api.helm("uninstall", "nope", "-n", ns, code=1)
    assert "is not a local path" in api.helm("install", "x", "/nowhere", "-n", ns, code=1)
    assert '"repo" is not a command of this helm; it has: get, history' in api.helm("repo", "add", code=1)
    assert "No such option" in api.helm("install", "x", chart, "--verify", code=1)
    assert "is not a duration" in api.helm("install", "x", chart, "--timeout", "soon", code=1)


def test_create_namespace_and_dry_run(api, chart):
    name = "helm-made-this"
    out = api.helm("install", "demo", chart, "-n", name, "--create-namespace", "--dry-run")
    assert 'replicas: "1"' in out
    assert api.do(lambda s: s.find("Namespace", "", name)) is None
    api.helm("install", "demo", chart, "-n", name, "--create-namespace")
    try:
        assert api.do(lambda s: s.find("Namespace", "", name))["status"] == {"phase": "Active"}
    finally:
        api.helm("uninstall", "demo", "-n", name)
        api.do(lambda s: s.remove(s.get("Namespace", "", name)))


def test_template_needs_no_cluster(api, chart, tmp_path):
    values = tmp_path / "more.yaml"
    values.write_text("replicas: 8\n")
    out = api.helm("template", "x", chart, "-f", str(values), "--set", "extra=false")
    objects = [obj for obj in yaml.safe_load_all(out) if obj]
    assert {obj["metadata"]["name"] for obj in objects} == {"x", "x-config", "x-hook"}
    assert 'replicas: "8"' in out
    only = api.helm("template", "x", chart, "-s", "templates/config.yaml")
    assert [obj["kind"] for obj in yaml.safe_load_all(only)] == ["ConfigMap"]
    assert "# Source: demo/templates/config.yaml" in only
    error = api.helm("template", "x", chart, "-s", "templates/nope.yaml", code=1)
    assert error == "Error: could not find template templates/nope.yaml in chart\n"


def test_lint(api, chart, tmp_path):
    assert "1 chart(s) linted, 0 chart(s) failed" in api.helm("lint", chart)
    assert "0 chart(s) linted" not in api.helm("lint", chart, code=0)
    error = api.helm("lint", str(tmp_path / "nothing"), code=1)
    assert error == "Error: 1 chart(s) linted, 1 chart(s) failed\n"


def test_values_merge_as_helm_merges_them(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("a: {x: 1, items: [1, 2]}\nb: 1\n")
    second.write_text("a: {items: [3]}\n")
    found = collect([first, second], {"--set": ["a.x=2,c=true"], "--set-string": ["d=7"]})
    assert found == {"a": {"x": 2, "items": [3]}, "b": 1, "c": True, "d": "7"}
    with pytest.raises(ValuesError, match="sets an item of the list items"):
        collect([first], {"--set": ["a.items[0]=9"]})
    with pytest.raises(ValuesError, match=r"nowhere\.yaml: No such file"):
        collect([tmp_path / "nowhere.yaml"], {})
    with pytest.raises(ValuesError, match="failed parsing --set data"):
        collect([], {"--set": ["=,x"]})
