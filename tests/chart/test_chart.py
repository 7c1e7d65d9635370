"""The chart, rendered by Helm's own engine: valid in every variant, safe, and consistent with cluster/."""

import itertools
import json
import re
import warnings
from typing import Any

import pytest
from helm_python import lint

from tests.chart.rendering import (
    CLUSTER,
    VARIANTS,
    cluster_files,
    of_kind,
    one,
    pods,
    refusal,
    rendered,
    with_values,
)
from tools.check import chart, documents, run

SERVICES = {"cmpt756s1": 30000, "cmpt756s2": 30001, "cmpt756db": 30002}


def everything() -> list[documents.Document]:
    return [*rendered("everything"), *(item for file in cluster_files().values() for item in file)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_valid(variant: str) -> None:
    assert [str(item) for item in run.check(rendered(variant))] == []


def test_helm_lint_finds_nothing_worse_than_the_missing_icon() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = lint(str(chart.CHART), {"regid": "octocat"}, strict=True)
    assert report["errors"] == []
    assert [item["error"] for item in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("name", sorted(cluster_files()))
@pytest.mark.parametrize("variant", ["default", "one machine", "production"])
def test_every_file_of_cluster_is_valid_with_the_chart(name: str, variant: str) -> None:
    assert [str(item) for item in run.check(cluster_files()[name], rendered(variant))] == []


def test_what_the_chart_holds_by_default() -> None:
    kinds = sorted(f"{item.obj['kind']}/{item.obj['metadata']['name']}" for item in rendered())
    for name in SERVICES:
        for kind in ("Service", "ServiceAccount", "DestinationRule", "ServiceMonitor", "NetworkPolicy"):
            assert f"{kind}/{name}" in kinds
        for kind in ("PeerAuthentication", "AuthorizationPolicy"):
            assert f"{kind}/{name}" in kinds
    assert {name for name in kinds if name.startswith("Deployment/")} == {
        "Deployment/cmpt756s1",
        "Deployment/cmpt756db",
    }
    assert "Job/c756-loader" not in kinds
    assert not [
        name for name in kinds if name.startswith(("HorizontalPodAutoscaler/", "Secret/", "Namespace/"))
    ]


def test_no_object_stands_in_the_chart_and_in_cluster() -> None:
    def identities(objects: list[documents.Document]) -> set[tuple[str, str]]:
        return {(item.obj["kind"], item.obj["metadata"]["name"]) for item in objects}

    in_chart = identities(rendered("everything"))
    for name, file in cluster_files().items():
        assert not in_chart & identities(file), name


def test_switching_s2_replaces_one_object() -> None:
    names = [cluster_files()[f"s2-vs-{version}.yaml"][0].obj["metadata"]["name"] for version in ("v1", "v2")]
    assert names == ["cmpt756s2", "cmpt756s2"]
    names = [
        cluster_files()[f"db-vs-{fault}.yaml"][0].obj["metadata"]["name"] for fault in ("delay", "fault")
    ]
    assert names == ["cmpt756db", "cmpt756db"]


def test_the_two_switches_differ_in_the_route_alone() -> None:
    one_, other = (
        json.loads(json.dumps(cluster_files()[f"s2-vs-{version}.yaml"][0].obj)) for version in ("v1", "v2")
    )
    routes = [obj["spec"]["http"][0].pop("route") for obj in (one_, other)]
    assert one_ == other
    assert [item["destination"]["subset"] for item in routes[0]] == ["v1"]
    assert [(item["destination"]["subset"], item["weight"]) for item in routes[1]] == [("v1", 90), ("v2", 10)]


def test_the_weights_stand_once() -> None:
    text = (CLUSTER / "s2-vs-v2.yaml").read_text(encoding="utf-8")
    assert re.findall(r"weight: (\d+)", text) == ["90", "10"]


def test_the_versions_of_s2_differ_in_the_version_alone() -> None:
    texts = [(CLUSTER / f"s2-dpl-{version}.yaml").read_text(encoding="utf-8") for version in ("v1", "v2")]
    body = [text.split("\n", 1)[1] for text in texts]
    assert (
        body[0]
        .replace("cmpt756s2-v1", "cmpt756s2-v2")
        .replace("version: v1", "version: v2")
        .replace("cmpt756s2:v1", "cmpt756s2:v2")
        == body[1]
    )


def test_only_one_placeholder_in_cluster() -> None:
    for file in CLUSTER.glob("*.yaml"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if "YOUR-" in line:
                assert re.fullmatch(r" +image: ghcr\.io/YOUR-GITHUB-ID/cmpt756s2:v[12]", line), line
            assert "{{" not in line


@pytest.mark.parametrize(("name", "port"), SERVICES.items())
def test_service_deployment_and_account_fit(name: str, port: int) -> None:
    objects = everything()
    service = one(objects, "Service", name)["spec"]
    wanted = {"name": "http", "port": port, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    assert service["ports"] == [wanted]
    accounts = of_kind(objects, "ServiceAccount")
    found = 0
    for deployment in of_kind(objects, "Deployment").values():
        template = deployment["spec"]["template"]
        if template["metadata"]["labels"]["app"] != name:
            continue
        found += 1
        assert service["selector"].items() <= template["metadata"]["labels"].items()
        assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
        [container] = template["spec"]["containers"]
        assert container["name"] == name
        assert container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]
        assert template["spec"]["serviceAccountName"] == name
        assert accounts[name]["automountServiceAccountToken"] is False
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert found == (2 if name == "cmpt756s2" else 1)
    for version in of_kind(objects, "DestinationRule")[name]["spec"].get("subsets", []):
        assert f"cmpt756s2-{version['name']}" in of_kind(objects, "Deployment")


def test_s2_and_the_services_of_the_chart_are_run_alike() -> None:
    """What cluster/ writes by hand is what the chart writes by template."""
    ours = pods(rendered())["Deployment/cmpt756s1"]["spec"]
    theirs = pods(cluster_files()["s2-dpl-v1.yaml"])["Deployment/cmpt756s2-v1"]["spec"]
    for field in ("automountServiceAccountToken", "enableServiceLinks", "securityContext", "volumes"):
        assert ours[field] == theirs[field], field
    assert ours["terminationGracePeriodSeconds"] == theirs["terminationGracePeriodSeconds"]
    for field in (
        *("securityContext", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "resources"),
        *("volumeMounts", "imagePullPolicy", "env"),
    ):
        assert ours["containers"][0][field] == theirs["containers"][0][field], field


def restricted_violations(pod: dict[str, Any]) -> list[str]:
    """Violations of https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    found = []
    spec, context = pod["spec"], pod["spec"].get("securityContext", {})
    found += [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
    }
    allowed |= {"secret"}
    for volume in spec.get("volumes", []):
        if not volume.keys() - {"name"} <= allowed:
            found.append(f"volume {volume['name']}")
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            found.append("allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            found.append("capabilities")
        if own.get("runAsNonRoot", context.get("runAsNonRoot")) is not True:
            found.append("runAsNonRoot")
        if own.get("runAsUser", context.get("runAsUser")) in {0, None}:
            found.append("runAsUser")
        profile = own.get("seccompProfile", context.get("seccompProfile", {})).get("type")
        if profile not in {"RuntimeDefault", "Localhost"}:
            found.append("seccompProfile")
        if any("hostPort" in port for port in container.get("ports", [])):
            found.append("hostPort")
    return found


def test_pods_keep_the_restricted_standard_and_more() -> None:
    found = pods(everything())
    assert set(found) == {
        *(
            "Deployment/cmpt756s1",
            "Deployment/cmpt756db",
            "Deployment/cmpt756s2-v1",
            "Deployment/cmpt756s2-v2",
        ),
        *("Job/c756-loader", "Pod/c756-test", "Deployment/c756-console"),
    }
    for name, pod in found.items():
        assert restricted_violations(pod) == [], name
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"].keys() == {"requests", "limits"}


def test_the_restricted_standard_is_really_asked_for() -> None:
    pod = json.loads(json.dumps(pods(rendered())["Deployment/cmpt756s1"]))
    pod["spec"]["securityContext"]["runAsNonRoot"] = False
    pod["spec"]["containers"][0]["securityContext"] = {"allowPrivilegeEscalation": True}
    assert set(restricted_violations(pod)) == {"allowPrivilegeEscalation", "capabilities", "runAsNonRoot"}


def test_secrets_are_referred_to_and_never_held() -> None:
    keys = {("c756-keys", "jwt-secret"), ("c756-keys", "loader-token")}
    aws = {("c756-aws", key) for key in ("access-key-id", "secret-access-key", "session-token")}
    found = set()
    for pod in pods(everything()).values():
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                secret = re.search(r"SECRET|TOKEN|KEY", variable["name"])
                assert bool(reference) == bool(secret), variable
                if reference:
                    found.add((reference["name"], reference["key"]))
                    assert reference.get("optional", False) == (reference["name"] == "c756-aws")
    assert found == keys | aws
    values = (chart.CHART / "values.yaml").read_text(encoding="utf-8")
    assert not re.search(
        r"(?i)^\s*(jwt-?secret|loader-?token|.*access-?key.*|password)\s*:", values, re.MULTILINE
    )


def test_each_service_gets_the_secrets_it_needs_and_no_other() -> None:
    def names(pod: dict[str, Any]) -> set[str]:
        return {
            v["valueFrom"]["secretKeyRef"]["key"]
            for v in pod["spec"]["containers"][0]["env"]
            if "valueFrom" in v
        }

    found = pods(everything())
    assert names(found["Deployment/cmpt756s1"]) == {"jwt-secret"}
    assert (
        names(found["Deployment/cmpt756s2-v1"]) == names(found["Deployment/cmpt756s2-v2"]) == {"jwt-secret"}
    )
    assert names(found["Job/c756-loader"]) == {"loader-token"}
    assert "jwt-secret" not in names(found["Deployment/cmpt756db"])
    assert "env" not in found["Pod/c756-test"]["spec"]["containers"][0]


def test_images_and_digests() -> None:
    found = pods(rendered("everything"))
    assert found["Deployment/cmpt756s1"]["spec"]["containers"][0]["image"] == "ghcr.io/octocat/cmpt756s1:v1"
    assert found["Job/c756-loader"]["spec"]["containers"][0]["image"] == "ghcr.io/octocat/c756-loader:v1"
    digests = {
        name: found[f"Deployment/{name}"]["metadata"]["annotations"]["c756/image-digest"]
        for name in ("cmpt756s1", "cmpt756db")
    }
    assert digests == {"cmpt756s1": f"sha256:{'b' * 64}", "cmpt756db": f"sha256:{'c' * 64}"}
    assert "c756/image-digest" not in pods(rendered())["Deployment/cmpt756s1"]["metadata"]["annotations"]
    private = pods(rendered("private registry"))["Deployment/cmpt756db"]["spec"]
    assert private["containers"][0]["image"] == "registry.example:5000/team/me/cmpt756db:v1"
    # By the ServiceAccounts, so that S2's Deployments, which no value reaches, have them as well.
    accounts = [each.obj for each in rendered("private registry") if each.obj["kind"] == "ServiceAccount"]
    assert len(accounts) == 5
    assert all(account["imagePullSecrets"] == [{"name": "regcred"}] for account in accounts)


def environment(variant: str) -> dict[str, str]:
    [container] = pods(rendered(variant))["Deployment/cmpt756db"]["spec"]["containers"]
    return {item["name"]: item.get("value", "(secret)") for item in container["env"]}


def test_dynamodb_in_aws() -> None:
    entry = one(rendered(), "ServiceEntry", "dynamodb")["spec"]
    assert entry["hosts"] == ["dynamodb.us-west-2.amazonaws.com"]
    assert entry["ports"] == [{"number": 443, "name": "tls", "protocol": "TLS"}]
    assert (entry["resolution"], entry["location"]) == ("DNS", "MESH_EXTERNAL")
    env = environment("default")
    assert (env["REGID"], env["AWS_REGION"]) == ("Octocat", "us-west-2")
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in env
    role = environment("service-account role")
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & role.keys()
    assert env["AWS_ACCESS_KEY_ID"] == "(secret)"
    hosts = one(rendered("service-account role"), "ServiceEntry", "dynamodb")["spec"]["hosts"]
    assert "sts.us-west-2.amazonaws.com" in hosts


def test_dynamodb_of_ones_own() -> None:
    entry = one(rendered("own endpoint by address"), "ServiceEntry", "dynamodb")["spec"]
    assert entry["hosts"] == ["dynamodb.example"]
    assert entry["ports"] == [{"number": 8000, "name": "tcp-dynamodb", "protocol": "TCP"}]
    assert (entry["resolution"], entry["endpoints"]) == ("STATIC", [{"address": "10.56.0.1"}])
    assert (
        environment("own endpoint by address")["AWS_ENDPOINT_URL_DYNAMODB"] == "http://dynamodb.example:8000"
    )
    by_name = one(rendered("own endpoint by name"), "ServiceEntry", "dynamodb")["spec"]
    assert by_name["resolution"] == "DNS"
    assert "endpoints" not in by_name


def test_retries_never_hide_an_answer() -> None:
    found = 0
    for virtual_service in (item.obj for item in everything() if item.obj["kind"] == "VirtualService"):
        for route in virtual_service["spec"]["http"]:
            found += 1
            conditions = set(route["retries"]["retryOn"].split(","))
            assert conditions == {"connect-failure", "refused-stream", "reset-before-request"}
            assert route["timeout"]
    assert found == 6


def test_sidecars_close_idle_connections_before_the_services_do() -> None:
    for rule in of_kind(rendered(), "DestinationRule").values():
        policy = rule["spec"]["trafficPolicy"]
        assert policy["connectionPool"]["http"]["idleTimeout"] == "30s"
        assert "outlierDetection" not in policy


def test_who_may_call_whom() -> None:
    policies = of_kind(rendered(), "AuthorizationPolicy")
    assert set(policies) == set(SERVICES)

    def allowed(name: str) -> dict[str, list[Any]]:
        assert policies[name]["spec"]["action"] == "ALLOW"
        assert policies[name]["spec"]["selector"] == {"matchLabels": {"app": name}}
        found: dict[str, list[Any]] = {}
        for rule in policies[name]["spec"]["rules"]:
            principals = [p for s in rule.get("from", []) for p in s["source"]["principals"]] or ["anyone"]
            for principal in principals:
                found[principal.rsplit("/", 1)[-1]] = [target["operation"] for target in rule.get("to", [])]
        return found

    metrics = [{"methods": ["GET"], "paths": ["/metrics"]}]
    for name in ("cmpt756s1", "cmpt756s2"):
        callers = allowed(name)
        assert callers["anyone"] == metrics
        assert callers["istio-ingressgateway"] == []
        assert not {"cmpt756s1", "cmpt756s2", "cmpt756db"} & callers.keys()
    callers = allowed("cmpt756db")
    assert callers["anyone"] == metrics
    assert callers["cmpt756s1"] == callers["cmpt756s2"] == []
    assert callers["c756-loader"][0] == {"methods": ["POST"], "paths": ["/api/v1/datastore/load"]}
    assert set(callers) == {"anyone", "cmpt756s1", "cmpt756s2", "c756-loader", "c756-test"}


def test_plaintext_is_for_the_services_port_alone() -> None:
    found = of_kind(rendered(), "PeerAuthentication")
    assert found["default"]["spec"] == {"mtls": {"mode": "STRICT"}}
    for name, port in SERVICES.items():
        spec = found[name]["spec"]
        assert spec["mtls"] == {"mode": "STRICT"}
        assert spec["portLevelMtls"] == {str(port): {"mode": "PERMISSIVE"}}


def test_network_policies_deny_what_they_do_not_allow() -> None:
    found = of_kind(rendered(), "NetworkPolicy")
    assert found["c756-base"]["spec"]["podSelector"] == {}
    assert found["c756-base"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for name, port in SERVICES.items():
        [rule] = found[name]["spec"]["ingress"]
        assert rule["ports"] == [{"protocol": "TCP", "port": port}]
        assert all(peer for peer in rule["from"])
    for name in ("cmpt756s1", "cmpt756s2"):
        [rule] = found[name]["spec"]["egress"]
        assert rule == {
            "to": [{"podSelector": {"matchLabels": {"app": "cmpt756db"}}}],
            "ports": [{"protocol": "TCP", "port": 30002}],
        }
    own = of_kind(rendered("own endpoint by address"), "NetworkPolicy")["cmpt756db"]["spec"]["egress"]
    assert own == [
        {"to": [{"ipBlock": {"cidr": "10.56.0.1/32"}}], "ports": [{"protocol": "TCP", "port": 8000}]}
    ]


def test_monitors_scrape_every_thirty_seconds() -> None:
    for name, monitor in of_kind(rendered("everything"), "ServiceMonitor").items():
        [endpoint] = monitor["spec"]["endpoints"]
        path = "/metrics/weights" if name == "c756-console" else "/metrics"
        assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("http", path, "30s")
        service = one(rendered("everything"), "Service", name)
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_autoscaling_leaves_the_replicas_to_the_autoscaler() -> None:
    for name in ("cmpt756s1", "cmpt756db"):
        assert "replicas" not in one(rendered("production"), "Deployment", name)["spec"]
        scaler = one(rendered("production"), "HorizontalPodAutoscaler", name)["spec"]
        assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert one(rendered(), "Deployment", name)["spec"]["replicas"] == 1


def test_probes_can_be_switched_off() -> None:
    off = pods(rendered("no probes, no monitoring, no policies"))["Deployment/cmpt756s1"]["spec"][
        "containers"
    ][0]
    assert not {"startupProbe", "livenessProbe", "readinessProbe"} & off.keys()
    assert off["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def test_the_loader_is_a_job_by_itself() -> None:
    job = one(rendered("loader"), "Job", "c756-loader")
    assert job["spec"]["ttlSecondsAfterFinished"] > 0
    assert "helm.sh/hook" not in job["metadata"].get("annotations", {})
    assert pods(rendered("loader"))["Job/c756-loader"]["spec"]["restartPolicy"] == "Never"


def test_every_value_has_a_comment_and_a_schema() -> None:
    lines = (chart.CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    schema = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))
    top = [line.split(":")[0] for line in lines if re.match(r"[a-z]", line)]
    assert set(top) == schema["properties"].keys() - {"global"}
    # Siblings that explain each other may share the comment above the first.
    plain = {"minReplicas", "maxReplicas", "resources", "serviceAccount"}
    for before, line in itertools.pairwise(lines):
        key = re.match(r"  ([a-zA-Z0-9]+):", line)
        if key and key[1] not in plain:
            assert before.lstrip().startswith("#"), line


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["regid="], "regid is empty: set it to your GitHub ID"),
        (["regid=a b"], "at '/regid': 'a b' does not match pattern"),
        (["regid=x", "s1.replicas=two"], "at '/s1/replicas': got string, want integer"),
        (["regid=x", "s1.replica=2"], "at '/s1': additional properties 'replica' not allowed"),
        (["regid=x", "s1.imageDigest=v1"], "at '/s1/imageDigest'"),
        (["regid=x", "s1.env.JWT_SECRET=1"], "invalid propertyName 'JWT_SECRET'"),
        (["regid=x", "image.pullPolicy=always"], "at '/image/pullPolicy': value must be one of"),
        (["regid=x", "dynamodb.endpoint=https://x"], "at '/dynamodb/endpoint'"),
        (["regid=x", "dynamodb.endpoint=http://10.0.0.1:80"], "has an IP address as its host"),
        (["regid=x", "loader.enabled=yes"], "at '/loader/enabled': got string, want boolean"),
        (["regid=x", "traffic.timeout=10"], "at '/traffic/timeout': got number, want string"),
        (["regid=x", "nosuch.value=1"], "additional properties 'nosuch' not allowed"),
    ],
)
def test_bad_values_are_refused(settings: list[str], reason: str) -> None:
    assert reason in refusal(*settings)


def test_the_release_may_be_in_another_namespace() -> None:
    found, problems = chart.render((), ["regid=x"], "elsewhere")
    assert not problems
    assert run.check(found, (), "elsewhere") == []
    principals = json.dumps(one(found, "AuthorizationPolicy", "cmpt756db"))
    assert "cluster.local/ns/elsewhere/sa/cmpt756s1" in principals
    assert "c756ns" not in json.dumps([item.obj for item in found])


def test_more_environment_variables_are_strings() -> None:
    with_number = with_values(["s1.env.THREADS='8'"])
    env = pods(with_number)["Deployment/cmpt756s1"]["spec"]["containers"][0]["env"]
    assert env[-1]["name"] == "THREADS"
    assert isinstance(env[-1]["value"], str)
