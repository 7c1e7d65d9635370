"""The makefiles of EKS, GKE, AKS, minikube and kind.

These tests show with which arguments eksctl, gcloud, az, minikube, kind and docker would be called, and that each of
these is in the tool's documentation (documented.json cites the page for each command; the options of gcloud 528, az
2.91 and kind 0.33 are those of the tools' own help, minikube's and eksctl's those of their pages and sources). That is
all they show of these tools: nothing is created. The AWS CLI is the real one and speaks to moto's server.
"""

from dataclasses import dataclass

import boto3
import pytest

from tests.clouds.checkout import DOCUMENTED, Checkout, command_of, undocumented
from tests.clouds.conftest import REGION
from tests.clouds.fakes import EKS_VERSIONS


@dataclass(frozen=True)
class Vendor:
    """A vendor's makefile and what it calls; `create` and the others are the whole argument lists."""

    name: str
    makefile: str
    settings: tuple[str, ...]
    tool: str
    context: str
    create: str
    delete: str
    down: list[str]
    up: list[str]
    log_in: str = ""

    def __str__(self) -> str:
        return self.name


EKS = Vendor(
    name="eks",
    makefile="eks.mak",
    settings=(),
    tool="eksctl",
    context="c756-eks",
    create=f"create cluster --name c756 --region us-west-2 --version {EKS_VERSIONS} --nodegroup-name nodes"
    " --node-type t3.large --nodes 2 --nodes-min 0 --nodes-max 2 --node-volume-size 30 --vpc-nat-mode Disable"
    " --tags project=c756 --write-kubeconfig=false",
    delete="delete cluster --name c756 --region us-west-2 --wait --disable-nodegroup-eviction",
    down=[
        "scale nodegroup --cluster c756 --region us-west-2 --name nodes --nodes 0 --nodes-min 0 --nodes-max 2"
    ],
    up=[
        "scale nodegroup --cluster c756 --region us-west-2 --name nodes --nodes 3 --nodes-min 0 --nodes-max 3"
    ],
    log_in="aws configure, or aws sso login",
)
GCP = Vendor(
    name="gcp",
    makefile="gcp.mak",
    settings=(),
    tool="gcloud",
    context="gke_p_us-west1-a_c756",
    create="container clusters create c756 --project p --location us-west1-a --machine-type e2-standard-2"
    " --num-nodes 2 --release-channel regular --cluster-version latest --disk-type pd-standard --disk-size 30"
    " --labels project=c756 --quiet",
    delete="container clusters delete c756 --project p --location us-west1-a --quiet",
    down=[
        (
            "container clusters resize c756 --project p --location us-west1-a --node-pool default-pool"
            " --num-nodes 0 --quiet"
        )
    ],
    up=[
        (
            "container clusters resize c756 --project p --location us-west1-a --node-pool default-pool"
            " --num-nodes 3 --quiet"
        )
    ],
    log_in="gcloud auth login",
)
AZ = Vendor(
    name="az",
    makefile="az.mak",
    settings=(),
    tool="az",
    context="c756-aks",
    create="aks create --resource-group c756 --name c756 --location westus2 --tier free --kubernetes-version 1.36"
    " --node-resource-group c756-nodes --nodepool-name nodepool1 --node-vm-size Standard_D2s_v5 --node-count 2"
    " --node-osdisk-size 32 --no-ssh-key --tags project=c756 --output none",
    delete="aks delete --resource-group c756 --name c756 --yes",
    down=["aks stop --resource-group c756 --name c756"],
    up=[
        "aks start --resource-group c756 --name c756",
        "aks nodepool scale --resource-group c756 --cluster-name c756 --name nodepool1 --node-count 3 --output none",
    ],
    log_in="az login",
)
MINIKUBE = Vendor(
    name="minikube",
    makefile="mk.mak",
    settings=("TOOL=minikube",),
    tool="minikube",
    context="c756",
    create="start -p c756 --nodes 2 --cpus 2 --memory 6g --keep-context",
    delete="delete -p c756",
    down=["stop -p c756"],
    up=["start -p c756 --keep-context", "node add -p c756"],
)
KIND = Vendor(
    name="kind",
    makefile="mk.mak",
    settings=("TOOL=kind",),
    tool="kind",
    context="kind-c756",
    create="create cluster --name c756 --config - --wait 5m",
    delete="delete cluster --name c756",
    down=[],
    up=[],
)
CLOUDS = (EKS, GCP, AZ)
VENDORS = (*CLOUDS, MINIKUBE, KIND)
every = pytest.mark.parametrize("vendor", VENDORS, ids=str)


class Place:
    """A checkout in which one vendor's makefile is used."""

    def __init__(self, checkout: Checkout, vendor: Vendor) -> None:
        self.checkout, self.vendor = checkout, vendor

    def make(self, target: str, *settings: str, **env: str) -> str:
        """Run a target that must succeed, and return what it prints."""
        done = self.checkout.make(self.vendor.makefile, target, *self.vendor.settings, *settings, **env)
        assert done.code == 0, done.err
        return done.out

    def refused(self, target: str, *settings: str, **env: str) -> str:
        """Run a target that must fail, and return what it says, make's own line aside."""
        done = self.checkout.make(self.vendor.makefile, target, *self.vendor.settings, *settings, **env)
        assert done.code != 0, done.out
        lines = done.err.splitlines()
        assert lines[-1].startswith("make: ***")
        return "\n".join(lines[:-1])

    def called(self) -> list[str]:
        return [" ".join(call) for call in self.checkout.calls(self.vendor.tool)]


@pytest.fixture
def place(checkout: Checkout, vendor: Vendor) -> Place:
    return Place(checkout, vendor)


@every
def test_start_creates_the_cluster_and_makes_it_the_place(place: Place) -> None:
    out = place.make("start")
    assert place.vendor.create in place.called()
    assert place.checkout.place == place.vendor.context
    assert place.vendor.context in place.checkout.contexts
    assert f"make -f {place.vendor.makefile} stop" in out


@every
def test_a_second_start_changes_nothing(place: Place) -> None:
    place.make("start")
    place.checkout.forget()
    assert "is there already: running" in place.make("start")
    assert place.vendor.create not in place.called()


@every
def test_stop_deletes_it_and_a_second_stop_does_no_harm(place: Place) -> None:
    place.make("start")
    place.make("stop", YES="1")
    assert place.vendor.delete in place.called()
    assert place.checkout.place is None
    assert place.vendor.context not in place.checkout.contexts
    place.checkout.forget()
    assert "There is no cluster c756" in place.make("stop")
    assert place.vendor.delete not in place.called()


@every
def test_stop_asks_before_it_deletes(place: Place) -> None:
    place.make("start")
    assert "nobody is there to ask; say YES=1" in place.refused("stop")
    assert place.vendor.delete not in place.called()


@every
def test_down_and_up(place: Place) -> None:
    place.make("start")
    place.checkout.forget()
    place.make("down")
    assert [call for call in place.called() if call in place.vendor.down] == place.vendor.down
    assert "stopped" in place.make("status")
    place.checkout.forget()
    if place.vendor is KIND:
        place.make("up")
        assert ["stop", "c756-control-plane", "c756-worker"] not in place.checkout.calls("docker")
        assert ["start", "c756-control-plane", "c756-worker"] in place.checkout.calls("docker")
        assert "kind cannot change the number of nodes, which is 2" in place.refused("up", "NODES=3")
    else:
        place.make("up", "NODES=3")
        assert [call for call in place.called() if call in place.vendor.up] == place.vendor.up
    assert "running" in place.make("status")


@every
def test_a_stopped_cluster_can_be_stopped_for_good(place: Place) -> None:
    place.make("start")
    place.make("down")
    place.make("stop", YES="1")
    assert "There is no cluster c756" in place.make("status")


@every
@pytest.mark.parametrize("target", ["up", "down", "cd"])
def test_without_a_cluster_the_others_say_how_to_start_one(place: Place, target: str) -> None:
    said = place.refused(target)
    assert "there is no cluster c756" in said
    assert said.endswith(f"make -f {place.vendor.makefile} start")


@every
def test_cd_ls_and_status(place: Place) -> None:
    place.make("start")
    (place.checkout.root / ".place").write_text("local\n")
    place.make("cd")
    assert place.checkout.place == place.vendor.context
    place.make("ls")
    assert "c756 (" in place.make("status")
    assert ["--context", place.vendor.context, "get", "nodes", "-o", "wide"] in place.checkout.calls(
        "kubectl"
    )


@every
def test_a_missing_command_is_named_in_one_line(place: Place) -> None:
    (place.checkout.bin / place.vendor.tool).unlink()
    for target in ("start", "stop", "up", "down", "ls", "status", "cd"):
        said = place.refused(target)
        assert said.startswith(
            f"{place.vendor.makefile}: the command '{place.vendor.tool}' is missing: install it (https://"
        )
        assert "\n" not in said


@pytest.mark.parametrize(
    ("vendor", "command"),
    [(EKS, "aws"), (EKS, "kubectl"), (GCP, "gke-gcloud-auth-plugin"), (KIND, "docker")],
    ids=str,
)
def test_what_else_is_needed_is_named_too(place: Place, command: str) -> None:
    (place.checkout.bin / command).unlink()
    said = place.refused("start")
    assert f"the command '{command}' is missing" in said
    assert "\n" not in said


@pytest.mark.parametrize("vendor", CLOUDS, ids=str)
def test_without_access_one_line_says_how_to_log_in(place: Place) -> None:
    place.checkout.set(logged_in=False)
    for target in ("start", "stop", "up", "down", "ls", "status", "cd"):
        said = place.refused(target)
        assert said.endswith(f"to log in: {place.vendor.log_in}")
        assert "has no access (" in said
        assert "\n" not in said


@pytest.mark.parametrize("vendor", [KIND], ids=str)
def test_kind_without_its_engine(place: Place) -> None:
    place.checkout.set(logged_in=False)
    assert place.refused("start") == "mk.mak: docker does not answer: start it"


@pytest.mark.parametrize("vendor", [GCP], ids=str)
def test_google_without_a_project(place: Place) -> None:
    place.checkout.set(project="")
    assert "no Google Cloud project: run gcloud config set project NAME" in place.refused("start")


@every
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("NODES=0", "NODES is '0': it must be a whole number from 1 to 99"),
        ("NODES=two", "NODES is 'two'"),
        ("CLUSTER=My_cluster", "CLUSTER is 'My_cluster'"),
        ("CLUSTER=-x", "CLUSTER is '-x'"),
    ],
)
def test_a_wrong_setting_is_named(place: Place, setting: str, says: str) -> None:
    assert says in place.refused("start", setting)
    assert place.checkout.calls() == [] or place.vendor is GCP  # which has to look its project up


def test_a_tool_that_is_neither(checkout: Checkout) -> None:
    done = checkout.make("mk.mak", "start", "TOOL=k3d")
    assert "TOOL is 'k3d': it must be minikube or kind" in done.err


@every
def test_a_start_that_fails_says_how_to_clean_up(place: Place) -> None:
    place.checkout.set(create_fails=True)
    said = place.refused("start")
    assert f"costs money until you run make -f {place.vendor.makefile} stop" in said
    assert place.checkout.place is None


@pytest.mark.parametrize("vendor", [EKS, GCP], ids=str)
def test_load_balancers_and_volumes_go_before_the_cluster(place: Place) -> None:
    place.make("start")
    place.checkout.set(
        services=["istio-system/istio-ingressgateway", "monitoring/grafana"],
        claims=["monitoring"],
        volumes={"pvc-1": "Delete", "pvc-2": "Delete"},
    )
    place.checkout.forget()
    place.make("stop", YES="1")
    calls = [" ".join(call) for call in place.checkout.calls()]
    at = f"kubectl --context {place.vendor.context}"
    wanted = [
        f"{at} delete ingresses.networking.k8s.io -A --all --timeout=300s",
        f"{at} -n istio-system delete service istio-ingressgateway --ignore-not-found --timeout=300s",
        f"{at} -n monitoring delete service grafana --ignore-not-found --timeout=300s",
        f"{at} -n monitoring delete persistentvolumeclaims --all --wait=false",
        f"{at} wait --for=delete persistentvolume pvc-1 pvc-2 --timeout=300s",
        f"{place.vendor.tool} {place.vendor.delete}",
    ]
    assert [call for call in calls if call in wanted] == wanted


@pytest.mark.parametrize("vendor", [EKS, GCP], ids=str)
def test_a_volume_that_is_kept_is_told_and_stops_nothing(place: Place) -> None:
    place.make("start")
    place.checkout.set(claims=["monitoring"], volumes={"pvc-1": "Retain"})
    done = place.checkout.make(place.vendor.makefile, "stop", YES="1")
    assert "these volumes are kept (reclaim policy Retain): pvc-1" in done.err
    assert place.vendor.delete in place.called()


@pytest.mark.parametrize("vendor", [AZ, MINIKUBE, KIND], ids=str)
def test_where_all_goes_with_the_cluster_kubernetes_is_not_asked(place: Place) -> None:
    place.make("start")
    place.checkout.forget()
    place.make("stop", YES="1")
    assert all(call[0] == "config" for call in place.checkout.calls("kubectl"))


# --- What is left over -----------------------------------------------------------------------------------
@pytest.mark.parametrize("vendor", [EKS], ids=str)
def test_eks_names_what_is_left(place: Place) -> None:
    ec2, cloudformation = boto3.client("ec2", REGION), boto3.client("cloudformation", REGION)
    for name in ("c756", "c756-other"):
        tags = [{"Key": f"kubernetes.io/cluster/{name}", "Value": "owned"}]
        ec2.create_volume(
            AvailabilityZone=f"{REGION}a",
            Size=1,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )
        cloudformation.create_stack(
            StackName=f"eksctl-{name}-nodegroup-nodes",
            TemplateBody='{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}',
            Tags=[{"Key": "alpha.eksctl.io/cluster-name", "Value": name}],
        )
    said = place.refused("stop")
    assert "this is left, and may cost money; delete it by hand:" in said
    assert said.count(":volume/vol-") == 1
    assert said.count("CloudFormation stack ") == 1
    assert "CloudFormation stack eksctl-c756-nodegroup-nodes" in said


@pytest.mark.parametrize("vendor", [EKS], ids=str)
def test_eks_knows_a_start_that_failed_by_its_stack(place: Place) -> None:
    boto3.client("cloudformation", REGION).create_stack(
        StackName="eksctl-c756-cluster", TemplateBody='{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}'
    )
    assert (
        "does not work (stack eksctl-c756-cluster is CREATE_COMPLETE): make -f eks.mak stop"
        in place.refused("start")
    )


@pytest.mark.parametrize("vendor", [GCP], ids=str)
def test_google_names_what_is_left(place: Place) -> None:
    place.checkout.set(disks=["pvc-1"], rules=["a0b1c2"])
    said = place.refused("stop")
    assert said.splitlines()[1:] == [
        "disk pvc-1 us-west1-a",
        "load balancer (forwarding rule) a0b1c2 us-west1",
    ]


@pytest.mark.parametrize("vendor", [GCP], ids=str)
def test_before_googles_api_is_on_there_is_no_cluster(place: Place) -> None:
    place.checkout.set(api=False)
    assert "There is no cluster" in place.make("status")
    assert "There is no cluster" in place.make("stop")
    place.make("start")
    assert "services enable container.googleapis.com --project p" in place.called()


@pytest.mark.parametrize("vendor", [AZ], ids=str)
def test_azure_names_what_is_left(place: Place) -> None:
    place.make("start")
    place.checkout.set(keeps_nodes=True)
    assert place.refused("stop", YES="1").endswith("delete it by hand:\nresource group c756-nodes")


@pytest.mark.parametrize("vendor", [AZ], ids=str)
def test_azures_resource_group_goes_only_if_start_made_it(place: Place) -> None:
    place.make("start")
    assert "group create --name c756 --location westus2 --tags project=c756 --output none" in place.called()
    place.make("stop", YES="1")
    assert place.checkout.state["groups"] == {}
    place.checkout.set(groups={"theirs": False})
    place.make("start", "RESOURCE_GROUP=theirs")
    place.checkout.set(groups={"theirs": False, "c756-nodes": False})
    place.make("stop", "RESOURCE_GROUP=theirs", YES="1")
    assert "theirs" in place.checkout.state["groups"]


@pytest.mark.parametrize("vendor", [AZ], ids=str)
def test_azure_goes_on_with_a_start_that_made_only_the_group(place: Place) -> None:
    place.checkout.set(create_fails=True)
    place.refused("start")
    place.checkout.set(create_fails=False)
    place.make("start")
    assert (
        place.called().count("group create --name c756 --location westus2 --tags project=c756 --output none")
        == 1
    )
    place.checkout.set(cluster=None, groups={"c756": True})
    place.make("stop", YES="1")
    assert place.checkout.state["groups"] == {}


# --- States in between ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("vendor", "cluster", "says"),
    [
        (GCP, {"status": "PROVISIONING", "nodes": 0}, "is PROVISIONING just now"),
        (GCP, {"status": "STOPPING", "nodes": 2}, "is DELETING just now"),
        (GCP, {"status": "ERROR", "nodes": 2}, "does not work (ERROR): make -f gcp.mak stop, then start"),
        (AZ, {"status": "Creating", "power": "Running"}, "is Creating just now"),
        (AZ, {"status": "Deleting", "power": "Running"}, "is DELETING just now"),
        (
            AZ,
            {"status": "Failed", "power": "Running"},
            "does not work (Failed): make -f az.mak stop, then start",
        ),
        (MINIKUBE, {"status": "Error", "nodes": 2}, "does not work (Error"),
        (KIND, {"status": "running", "nodes": 0}, "does not work (it has no nodes)"),
    ],
    ids=str,
)
def test_a_state_in_between_is_left_alone(place: Place, cluster: dict[str, object], says: str) -> None:
    place.checkout.set(cluster=cluster)
    assert says in place.refused("start")
    assert says in place.refused("down")
    assert place.vendor.create not in place.called()


@pytest.mark.parametrize(
    ("vendor", "cluster"),
    [
        (GCP, {"status": "STOPPING", "nodes": 2}),
        (AZ, {"status": "Deleting", "power": "Running"}),
    ],
    ids=str,
)
def test_stop_while_it_is_being_deleted(place: Place, cluster: dict[str, object]) -> None:
    place.checkout.set(cluster=cluster)
    assert "is being deleted just now: run stop again later" in place.refused("stop", YES="1")
    assert place.vendor.delete not in place.called()


# --- Particular to one -------------------------------------------------------------------------------------
@pytest.mark.parametrize("vendor", [MINIKUBE], ids=str)
def test_minikube_takes_nodes_away_from_the_end(place: Place) -> None:
    place.make("start", "NODES=3")
    place.make("up", "NODES=1")
    assert [call for call in place.called() if "delete" in call] == [
        "node delete c756-m03 -p c756",
        "node delete c756-m02 -p c756",
    ]


@pytest.mark.parametrize(
    ("vendor", "setting", "words"),
    [
        (EKS, "K8S_VERSION=1.33", "--version 1.33"),
        (GCP, "K8S_VERSION=1.33", "--cluster-version 1.33"),
        (AZ, "K8S_VERSION=1.33", "--kubernetes-version 1.33"),
        (MINIKUBE, "K8S_VERSION=v1.33.1", "--kubernetes-version v1.33.1"),
        (MINIKUBE, "DRIVER=podman", "--driver podman"),
        (KIND, "K8S_VERSION=v1.33.1", "--image kindest/node:v1.33.1"),
    ],
    ids=str,
)
def test_settings_reach_the_tool(place: Place, setting: str, words: str) -> None:
    place.make("start", setting)
    assert any(words in call for call in place.called())


@pytest.mark.parametrize("vendor", [EKS], ids=str)
def test_role_gives_dbs_service_account_the_policy(place: Place) -> None:
    place.make("start")
    place.make("role", "REGID=Someone-1")
    (policy,) = boto3.client("iam", REGION).list_policies(Scope="Local")["Policies"]
    assert policy["PolicyName"] == "c756-db-Someone-1-us-west-2"
    assert "create addon --cluster c756 --region us-west-2 --name eks-pod-identity-agent" in place.called()
    assert (
        "create podidentityassociation --cluster c756 --region us-west-2 --namespace c756ns"
        f" --service-account-name cmpt756db --permission-policy-arns {policy['Arn']}" in place.called()
    )
    place.checkout.forget()
    assert "cmpt756db has a role already: a-1" in place.make("role", "REGID=Someone-1")
    assert place.called() == []


@pytest.mark.parametrize(
    ("tool", "loads"),
    [
        (
            "minikube",
            ["minikube", "image", "load", "ghcr.io/x/cmpt756db:v1", "-p", "c756", "--overwrite=true"],
        ),
        ("kind", ["kind", "load", "docker-image", "ghcr.io/x/cmpt756db:v1", "--name", "c756"]),
    ],
)
def test_images_reach_the_nodes_without_a_registry(checkout: Checkout, tool: str, loads: list[str]) -> None:
    done = checkout.run(
        "tools/clouds/build.sh", ".", "ghcr.io/x/cmpt756db:v1", "-f", "db/Dockerfile", TOOL=tool
    )
    assert done.code == 0, done.err
    assert checkout.calls() == [
        ["docker", "build", "-t", "ghcr.io/x/cmpt756db:v1", "-f", "db/Dockerfile", "."],
        loads,
    ]


@every
def test_help_shows_targets_and_settings(place: Place) -> None:
    out = place.make("help", "NODES=3")
    for target in ("start", "stop", "up", "down", "ls", "status", "cd"):
        assert f"\n  {target} " in out
    assert "\n  NODES             3\n" in out


def test_the_comparison_finds_what_is_not_documented() -> None:
    assert undocumented(["kind", "create", "cluster", "--name", "x", "--nodes=3"]) == {"--nodes"}
    with pytest.raises(AssertionError, match="undocumented command"):
        command_of(["kind", "stop", "cluster"])
    assert all(entry["page"].startswith("https://") for entry in DOCUMENTED.values())
