"""Stand-ins for the vendors' commands: they note how they are called, and answer as the real ones do in a given state.

They show what would be called, and no more: no cloud takes part. The AWS CLI and kubectl's handling of the kubeconfig
are the real ones; the AWS CLI speaks to moto.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

TOOLS = ("aws", "az", "docker", "eksctl", "gcloud", "gke-gcloud-auth-plugin", "kind", "kubectl", "minikube")
EKS_VERSIONS = "1.35"

State = dict[str, Any]


class RefusedError(Exception):
    """What a command says on standard error before it fails."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def option(argv: list[str], *names: str) -> str:
    for name in names:
        for index, word in enumerate(argv):
            if word == name:
                return argv[index + 1]
            if word.startswith(f"{name}="):
                return word.split("=", 1)[1]
    raise AssertionError(f"{names} are not in {argv}")


def has(argv: list[str], *words: str) -> bool:
    """Whether the command is this one: its first words, options aside."""
    return argv[: len(words)] == list(words)


def real(name: str, argv: list[str]) -> NoReturn:
    program = os.environ[f"REAL_{name.upper()}"]
    os.execv(program, [program, *argv])


def set_context(context: str) -> None:
    """Write a context into the kubeconfig, as every tool's own command does."""
    kubectl = os.environ["REAL_KUBECTL"]
    for words in (
        ["set-cluster", f"{context}-cluster", "--server=https://127.0.0.1:1"],
        ["set-credentials", f"{context}-user", "--token=x"],
        ["set-context", context, f"--cluster={context}-cluster", f"--user={context}-user"],
    ):
        if os.spawnv(os.P_WAIT, kubectl, [kubectl, "config", *words]):
            raise AssertionError(words)


def aws(argv: list[str], state: State) -> str:
    if not state["logged_in"]:
        raise RefusedError(
            '\nUnable to locate credentials. You can configure credentials by running "aws configure".', 253
        )
    if has(argv, "eks", "describe-cluster-versions"):  # moto does not know it
        return f"{EKS_VERSIONS}\n"
    if has(argv, "eks", "list-addons") or has(argv, "eks", "list-pod-identity-associations"):  # nor these
        return "\t".join(state[argv[1]]) + "\n"
    real("aws", argv)


def eksctl(argv: list[str], state: State) -> str:
    import boto3  # noqa: PLC0415 - takes longer than all of the others

    eks = boto3.client("eks", region_name=option(argv, "--region"))
    if has(argv, "create", "cluster"):
        if state["create_fails"]:
            raise RefusedError("Error: failed to create cluster")
        name, group = option(argv, "--name"), option(argv, "--nodegroup-name")
        size = {
            "minSize": 0,
            "maxSize": int(option(argv, "--nodes")),
            "desiredSize": int(option(argv, "--nodes")),
        }
        role = "arn:aws:iam::123456789012:role/eks"
        eks.create_cluster(
            name=name, roleArn=role, resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]}
        )
        eks.create_nodegroup(
            clusterName=name, nodegroupName=group, nodeRole=role, subnets=["subnet-1"], scalingConfig=size
        )
    elif has(argv, "delete", "cluster"):
        name = option(argv, "--name")
        for group in eks.list_nodegroups(clusterName=name)["nodegroups"]:
            eks.delete_nodegroup(clusterName=name, nodegroupName=group)
        eks.delete_cluster(name=name)
    elif has(argv, "scale", "nodegroup"):
        eks.update_nodegroup_config(
            clusterName=option(argv, "--cluster"),
            nodegroupName=option(argv, "--name"),
            scalingConfig={
                "minSize": int(option(argv, "--nodes-min")),
                "maxSize": int(option(argv, "--nodes-max")),
                "desiredSize": int(option(argv, "--nodes")),
            },
        )
    elif has(argv, "create", "addon"):
        state["list-addons"].append(option(argv, "--name"))
    elif has(argv, "create", "podidentityassociation"):
        state["list-pod-identity-associations"].append("a-1")
    elif argv[:1] != ["get"]:
        raise AssertionError(argv)
    return ""


def gcloud(argv: list[str], state: State) -> str:  # noqa: PLR0911, PLR0912 - a line per command
    if has(argv, "config", "get-value", "project"):
        return f"{state['project']}\n"
    if not state["logged_in"]:
        raise RefusedError(
            "ERROR: (gcloud) You do not currently have an active account selected.\nPlease run:\n\n"
            "  $ gcloud auth login"
        )
    if has(argv, "container", "clusters", "list") and not state["api"]:
        raise RefusedError(
            "ERROR: (gcloud.container.clusters.list) ResponseError: code=403, message=Kubernetes Engine API has not"
            " been used in project p before or it is disabled."
        )
    cluster = state["cluster"]
    if has(argv, "services", "enable"):
        state["api"] = True
    elif has(argv, "container", "clusters", "list"):
        if cluster and any(word.startswith("--filter") for word in argv):
            # No field for a cluster without nodes.
            return f"{cluster['status']} {cluster['nodes'] or ''}\n"
        if option(argv, "--format") == "json":
            nodes = {"currentNodeCount": cluster["nodes"]} if cluster and cluster["nodes"] else {}
            listed = (
                {"name": "c756", "location": "us-west1-a", "status": cluster["status"]} | nodes
                if cluster
                else None
            )
            return json.dumps([listed] if listed else [])
        return "c756\n" if cluster else ""
    elif has(argv, "container", "clusters", "create"):
        if state["create_fails"]:
            raise RefusedError(
                "ERROR: (gcloud.container.clusters.create) ResponseError: Insufficient regional quota."
            )
        state["cluster"] = {"status": "RUNNING", "nodes": int(option(argv, "--num-nodes"))}
    elif has(argv, "container", "clusters", "resize"):
        cluster["nodes"] = int(option(argv, "--num-nodes"))
    elif has(argv, "container", "clusters", "delete"):
        state["cluster"] = None
    elif has(argv, "container", "clusters", "get-credentials"):
        set_context(f"gke_{option(argv, '--project')}_{option(argv, '--location')}_{argv[3]}")
    elif has(argv, "compute", "disks", "list"):
        return "".join(f"{name} us-west1-a\n" for name in state["disks"])
    elif has(argv, "compute", "forwarding-rules", "list"):
        return "".join(f"{name} us-west1\n" for name in state["rules"])
    elif not has(argv, "auth", "print-access-token") and not has(argv, "container", "node-pools", "list"):
        raise AssertionError(argv)
    return ""


def az(argv: list[str], state: State) -> str:  # noqa: PLR0911, PLR0912 - a line per command
    if not state["logged_in"]:
        raise RefusedError("ERROR: Please run 'az login' to setup account.")
    cluster, groups = state["cluster"], state["groups"]
    print("WARNING: The behavior of this command has been altered by an extension", file=sys.stderr)
    if has(argv, "aks", "show"):
        if not cluster:
            raise RefusedError(
                "ERROR: (ResourceNotFound) The Resource 'managedClusters/c756' was not found.",
                3,
            )
        return f"{cluster['status']} {cluster['power']}\n"
    if has(argv, "aks", "list") and option(argv, "--output") == "json":
        pools = [{"count": cluster["nodes"]}] if cluster else []
        found = {"name": "c756", "location": "westus2", "agentPoolProfiles": pools}
        found |= (
            {"provisioningState": cluster["status"], "powerState": {"code": cluster["power"]}}
            if cluster
            else {}
        )
        return json.dumps([found] if cluster else [])
    if has(argv, "aks", "get-versions"):
        return "1.36\n"
    if has(argv, "group", "list"):
        return "".join(
            f"{name}\n" for name, ours in groups.items() if ours and f"'{name}'" in option(argv, "--query")
        )
    if has(argv, "group", "exists"):
        return f"{'true' if option(argv, '--name') in groups else 'false'}\n"
    if has(argv, "group", "create"):
        groups[option(argv, "--name")] = option(argv, "--tags") == "project=c756"
    elif has(argv, "group", "delete"):
        del groups[option(argv, "--name")]
    elif has(argv, "aks", "create"):
        if state["create_fails"]:
            raise RefusedError("ERROR: (ErrCode_InsufficientVCPUQuota) Insufficient vcpu quota")
        state["cluster"] = {
            "status": "Succeeded",
            "power": "Running",
            "nodes": int(option(argv, "--node-count")),
        }
        groups[option(argv, "--node-resource-group")] = False
    elif has(argv, "aks", "delete"):
        state["cluster"] = None
        if not state["keeps_nodes"]:
            groups.pop("c756-nodes")
    elif has(argv, "aks", "stop"):
        cluster["power"] = "Stopped"
    elif has(argv, "aks", "start"):
        cluster["power"] = "Running"
    elif has(argv, "aks", "nodepool", "show"):
        return f"{cluster['nodes']}\n"
    elif has(argv, "aks", "nodepool", "scale"):
        cluster["nodes"] = int(option(argv, "--node-count"))
    elif has(argv, "aks", "get-credentials"):
        set_context(option(argv, "--context"))
    elif argv[:2] not in (
        ["account", "show"],
        ["provider", "register"],
        ["aks", "list"],
        ["aks", "nodepool"],
    ):
        raise AssertionError(argv)
    return ""


def minikube(argv: list[str], state: State) -> str:
    cluster = state["cluster"]
    if argv[0] == "status":
        if not cluster:
            print('* Profile "c756" not found. Run "minikube profile list" to view all profiles.')
            raise RefusedError("", 85)
        if cluster["status"] == "Stopped":
            print("Stopped ")
            raise RefusedError("", 7)
        return f"{cluster['status']} \n"
    if argv[0] == "start":
        if state["create_fails"]:
            raise RefusedError("X Exiting due to PROVIDER_DOCKER_NOT_RUNNING")
        state["cluster"] = {
            "status": "Running",
            "nodes": cluster["nodes"] if cluster else int(option(argv, "--nodes")),
        }
    elif argv[0] == "stop":
        cluster["status"] = "Stopped"
    elif argv[0] == "delete":
        state["cluster"] = None
    elif has(argv, "node", "list"):
        return "".join(
            f"c756{f'-m{n + 1:02}' if n else ''}\t192.168.49.{n + 2}\n" for n in range(cluster["nodes"])
        )
    elif has(argv, "node", "add"):
        cluster["nodes"] += 1
    elif has(argv, "node", "delete"):
        cluster["nodes"] -= 1
    elif argv[0] == "update-context":
        set_context("c756")
    elif argv[:2] not in (["profile", "list"], ["image", "load"]):
        raise AssertionError(argv)
    return ""


def kind(argv: list[str], state: State) -> str:
    cluster = state["cluster"]
    if has(argv, "get", "clusters"):
        return "c756\n" if cluster else ""
    if has(argv, "get", "nodes"):
        return "".join(
            f"c756-{name}\n" for name in ["control-plane", "worker", "worker2"][: cluster["nodes"]]
        )
    if has(argv, "create", "cluster"):
        if state["create_fails"]:
            raise RefusedError("ERROR: failed to create cluster: could not find a log line that matches")
        assert option(argv, "--config") == "-"
        state["cluster"] = {"status": "running", "nodes": sys.stdin.read().count("- role:")}
    elif has(argv, "delete", "cluster"):
        state["cluster"] = None
    elif has(argv, "export", "kubeconfig"):
        set_context(f"kind-{option(argv, '--name')}")
    elif not has(argv, "load", "docker-image"):
        raise AssertionError(argv)
    return ""


def docker(argv: list[str], state: State) -> str:
    cluster = state["cluster"]
    if argv[0] == "info" and not state["logged_in"]:
        raise RefusedError(
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
        )
    if argv[0] == "inspect":
        return f"{'true' if cluster['status'] == 'running' else 'false'}\n" * cluster["nodes"]
    if argv[0] == "stop":
        cluster["status"] = "stopped"
    elif argv[0] == "start":
        cluster["status"] = "running"
    elif argv[0] not in ("info", "build"):
        raise AssertionError(argv)
    return ""


def kubectl(argv: list[str], state: State) -> str:
    if argv[0] == "config":
        real("kubectl", argv)
    assert argv[0] == "--context", argv
    rest = argv[2:]
    if rest[:2] == ["get", "crd"]:
        raise RefusedError('Error from server (NotFound): customresourcedefinitions "gateways" not found')
    if rest[:2] == ["get", "services"]:
        return "".join(f"{name}\n" for name in state["services"])
    if rest[:2] == ["get", "persistentvolumeclaims"]:
        return "".join(f"{name}\n" for name in state["claims"])
    if rest[:2] == ["get", "persistentvolumes"]:
        wanted = "Delete" if "Delete" in rest[-1] else None
        return " ".join(name for name, policy in state["volumes"].items() if wanted in (None, policy))
    if rest[:1] == ["wait"]:
        for name in rest[3:-1]:
            del state["volumes"][name]
    elif rest[:1] == ["-n"] and rest[2:4] == ["delete", "service"]:
        state["services"].remove(f"{rest[1]}/{rest[4]}")
    elif rest[:1] not in (["get"], ["delete"], ["-n"]):
        raise AssertionError(argv)
    return ""


FAKES: dict[str, Callable[[list[str], State], str]] = {
    "aws": aws,
    "az": az,
    "docker": docker,
    "eksctl": eksctl,
    "gcloud": gcloud,
    "kind": kind,
    "kubectl": kubectl,
    "minikube": minikube,
}


def main() -> None:
    """Be the command by whose name this was started."""
    name, argv = Path(sys.argv[0]).name, sys.argv[1:]
    with Path(os.environ["FAKE_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps([name, *argv]) + "\n")
    path = Path(os.environ["FAKE_STATE"])
    state = json.loads(path.read_text(encoding="utf-8"))
    try:
        sys.stdout.write(FAKES[name](argv, state))
    except RefusedError as refused:
        sys.stdout.flush()
        print(refused, file=sys.stderr, end="\n" if str(refused) else "")
        sys.exit(refused.code)
    finally:
        sys.stdout.flush()
        path.write_text(json.dumps(state), encoding="utf-8")
