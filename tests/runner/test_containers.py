"""Containers: start order, restarts, probes, hooks, environment, volumes."""

import os
import time
from pathlib import Path

import pytest

from local.kubelet import BackOff
from tests.runner.cluster import Cluster, container, get, running, script

pytestmark = pytest.mark.asyncio


def phase(cluster: Cluster, name: str = "one") -> str:
    return cluster.get("Pod", name).get("status", {}).get("phase", "")


async def test_crashes_back_off_longer_each_time_after_a_first_restart_at_once(cluster):
    cluster.create("Pod", "one", {"containers": [script("date +%s.%N; exit 3")]})
    waits = []

    def note(event) -> None:
        if event.resource.kind == "Pod" and "status" in event.object:
            state = cluster.container_state(event.object)
            if state.get("waiting", {}).get("reason") == "CrashLoopBackOff":
                waits.append(state["waiting"]["message"].split()[1])

    cluster.store.listen(note)
    await cluster.until(lambda: cluster.container("one").get("restartCount", 0) >= 4)
    assert list(dict.fromkeys(waits))[:3] == ["0.3s", "0.6s", "1s"]
    status = cluster.container("one")
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert phase(cluster) == "Running"
    logs = cluster.settings.pods / "test_one" / "app"
    runs = [float((logs / f"{run}.log").read_text()) for run in range(4)]
    assert runs[1] - runs[0] < 0.3 <= runs[2] - runs[1]
    assert runs[3] - runs[2] >= 0.6
    assert any(
        e.startswith("BackOff: Back-off restarting failed container app") for e in cluster.events("one")
    )


async def test_a_long_run_starts_the_back_off_again(tmp_path):
    async with running(tmp_path, 118, back_off=BackOff(initial=60, maximum=60, reset=0.2)) as cluster:
        cluster.create("Pod", "one", {"containers": [script("sleep 0.3; exit 1")]})
        # With a back-off that was not reset the third start would come after a minute.
        await cluster.until(
            lambda: (
                cluster.get("Pod", "one").get("status", {}).get("containerStatuses")
                and cluster.container("one").get("restartCount", 0) >= 3
            )
        )


@pytest.mark.parametrize(
    ("policy", "code", "expected", "reason"),
    [
        ("Never", 0, "Succeeded", "Completed"),
        ("Never", 7, "Failed", "Error"),
        ("OnFailure", 0, "Succeeded", "Completed"),
    ],
)
async def test_a_pod_that_ends_by_itself(cluster, policy, code, expected, reason):
    cluster.create("Pod", "one", {"restartPolicy": policy, "containers": [script(f"echo done; exit {code}")]})
    await cluster.until(lambda: phase(cluster) == expected)
    pod = cluster.get("Pod", "one")
    assert cluster.container_state(pod)["terminated"]["exitCode"] == code
    assert cluster.reason(pod) == reason
    assert cluster.log(pod) == "done\n"


async def test_init_containers_run_in_order_and_sidecars_beside_the_rest(cluster, tmp_path):
    def note(text: str) -> str:
        return f"echo {text} >> {tmp_path}/order"

    sidecar = script(
        f"{note('sidecar')}; trap '{note('sidecar-end')}; exit 0' TERM; while :; do sleep 0.05; done"
    )
    sidecar |= {
        "name": "side",
        "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["test", "-e", f"{tmp_path}/order"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "initContainers": [
            script(note("first"), name="first"),
            sidecar,
            script(note("second"), name="second"),
        ],
        "containers": [script(note("app"))],
    }
    spec["initContainers"][0]["name"], spec["initContainers"][2]["name"] = "first", "second"
    cluster.create("Pod", "one", spec)
    await cluster.until(lambda: phase(cluster) == "Succeeded")
    order = (tmp_path / "order").read_text().split()
    assert order[0] == "first"
    assert order.index("second") < order.index("app") < order.index("sidecar-end")
    names = [s["name"] for s in cluster.get("Pod", "one")["status"]["initContainerStatuses"]]
    assert names == ["first", "side", "second"]


async def test_a_failed_init_container_fails_the_pod(cluster):
    spec = {
        "restartPolicy": "Never",
        "initContainers": [{**script("exit 4"), "name": "init"}],
        "containers": [script("true")],
    }
    cluster.create("Pod", "one", spec)
    await cluster.until(lambda: phase(cluster) == "Failed")
    status = cluster.get("Pod", "one")["status"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert "waiting" in status["containerStatuses"][0]["state"]


async def test_a_missing_secret_holds_the_container_until_it_is_there(cluster):
    ref = {"secretKeyRef": {"name": "keys", "key": "jwt"}}
    cluster.create(
        "Pod",
        "one",
        {"containers": [script("echo $JWT; sleep 100", env=[{"name": "JWT", "valueFrom": ref}])]},
    )
    await cluster.until(lambda: cluster.reason(cluster.get("Pod", "one")) == "CreateContainerConfigError")
    waiting = cluster.container_state(cluster.get("Pod", "one"))["waiting"]
    assert waiting["message"] == 'secret "keys" not found'
    cluster.create("Secret", "keys", data={"other": "eA=="})
    await cluster.until(
        lambda: (
            "couldn't find key jwt"
            in cluster.container_state(cluster.get("Pod", "one")).get("waiting", {}).get("message", "")
        )
    )
    cluster.edit("Secret", "keys", lambda s: s.update(data={"jwt": "c2VjcmV0"}))
    await cluster.until(lambda: cluster.log(cluster.get("Pod", "one")) == "secret\n", 3)


async def test_a_missing_image_is_waited_for(cluster):
    cluster.create("Pod", "one", {"containers": [container("server:v1")]})
    await cluster.until(lambda: cluster.reason(cluster.get("Pod", "one")) == "ImagePullBackOff")
    assert phase(cluster) == "Pending"
    assert any(e.startswith("Failed: Failed to pull image") for e in cluster.events("one"))
    cluster.server_image("v1")
    await cluster.until(lambda: cluster.container("one").get("ready"), 5)


async def test_a_running_pod_keeps_its_content_when_its_tag_is_built_again(cluster):
    cluster.server_image("v1")
    cluster.create("Pod", "one", {"containers": [container("server:v1")]})
    await cluster.until(lambda: cluster.get("Pod", "one").get("status", {}).get("podIP"))
    address = cluster.get("Pod", "one")["status"]["podIP"]
    await cluster.until(lambda: cluster.container("one").get("ready"))
    old = cluster.images.find("server:v1").digest
    cluster.image(
        "server:v1",
        {"app.py": "import time; print('other'); time.sleep(100)"},
        'FROM python\nWORKDIR /code\nCOPY app.py .\nCMD ["python", "app.py"]\n',
    )
    assert cluster.images.find("server:v1").digest != old
    environment = cluster.kubelet.exec_environment(cluster.get("Pod", "one"), "app")
    pid = int(cluster.container("one")["containerID"].removeprefix("process://"))
    os.kill(pid, 9)
    await cluster.until(lambda: cluster.container("one").get("restartCount", 0) == 1)
    await cluster.until(lambda: cluster.container("one").get("ready"))
    assert (await get(address)).startswith("v1")
    assert "VERSION" in (environment.cwd / "app.py").read_text()
    cluster.create("Pod", "two", {"containers": [script("x") | {"image": "server:v1", "command": []}]})
    await cluster.until(lambda: cluster.log(cluster.get("Pod", "two")) == "other\n")


async def test_a_command_that_is_not_there(cluster):
    cluster.create(
        "Pod", "one", {"restartPolicy": "Never", "containers": [{**script(""), "command": ["no-such"]}]}
    )
    await cluster.until(lambda: phase(cluster) == "Failed")
    ended = cluster.container_state(cluster.get("Pod", "one"))["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "executable file not found in $PATH" in ended["message"]


async def test_liveness_restarts_a_container_and_startup_holds_it_back(cluster, tmp_path):
    (tmp_path / "work").mkdir()
    probe = {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    app = container(
        cluster.server_image("v1"),
        env=[{"name": "WORK", "value": str(tmp_path / "work")}, {"name": "STUBBORN", "value": "1"}],
        startupProbe={
            "httpGet": {"path": "/start", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        livenessProbe=probe,
    )
    (tmp_path / "work" / "start").touch()
    (tmp_path / "work" / "live").touch()
    cluster.create("Pod", "one", {"terminationGracePeriodSeconds": 1, "containers": [app]})
    await cluster.until(lambda: any("Startup probe failed" in e for e in cluster.events("one")))
    status = cluster.container("one")
    assert (status["started"], status["ready"], status["restartCount"]) == (False, False, 0)
    (tmp_path / "work" / "start").unlink()
    await cluster.until(lambda: cluster.container("one").get("restartCount", 0) == 1)
    assert "Killing: Container app failed liveness probe, will be restarted" in cluster.events("one")
    assert cluster.container("one")["lastState"]["terminated"]["exitCode"] == 137
    assert "SIGTERM" in cluster.log(cluster.get("Pod", "one"), previous=True)
    (tmp_path / "work" / "live").unlink()
    await cluster.until(lambda: cluster.container("one").get("ready"))
    cluster.store.delete("Pod", "test", "one", grace=0)


@pytest.mark.parametrize(
    "probe",
    [
        {"tcpSocket": {"port": "http"}},
        {"exec": {"command": ["python", "-c", "import os; assert os.environ['HOSTNAME'] == 'one'"]}},
    ],
)
async def test_other_probes(cluster, probe):
    cluster.create(
        "Pod", "one", {"containers": [container(cluster.server_image("v1"), readinessProbe=probe)]}
    )
    await cluster.until(lambda: cluster.container("one").get("ready"))


async def test_the_end_of_a_pod_pre_stop_then_term_then_kill(cluster, tmp_path):
    hook = {"exec": {"command": ["sh", "-c", f"echo hook >> {tmp_path}/order; sleep 0.2"]}}
    text = f"trap 'echo term >> {tmp_path}/order' TERM; echo up; while :; do sleep 0.05; done"
    app = script(text, lifecycle={"preStop": hook})
    cluster.create("Pod", "one", {"terminationGracePeriodSeconds": 1, "containers": [app]})
    await cluster.until(lambda: phase(cluster) == "Running" and cluster.log(cluster.get("Pod", "one")))
    begun = time.monotonic()
    cluster.store.delete("Pod", "test", "one")
    await cluster.until(lambda: cluster.store.find("Pod", "test", "one") is None)
    assert (tmp_path / "order").read_text().split() == ["hook", "term"]
    assert 1 <= time.monotonic() - begun < 4
    assert cluster.processes() == []
    assert not (cluster.settings.pods / "test_one").exists()


async def test_a_shorter_grace_period_brings_the_end_forward(cluster):
    cluster.create(
        "Pod", "one", {"containers": [script("trap '' TERM; echo up; while :; do sleep 0.05; done")]}
    )
    await cluster.until(lambda: phase(cluster) == "Running" and cluster.log(cluster.get("Pod", "one")))
    cluster.store.delete("Pod", "test", "one")
    await cluster.until(lambda: "Killing: Stopping container app" in cluster.events("one"))
    cluster.store.delete("Pod", "test", "one", grace=0)
    await cluster.until(lambda: cluster.store.find("Pod", "test", "one") is None, 4)


async def test_environment(cluster):
    cluster.create("ConfigMap", "settings", data={"COLOUR": "green", "not a name": "x"})
    os.environ["C756_TEST_LEAK"] = "leaked"
    env = [
        {"name": "A", "value": "one"},
        {"name": "B", "value": "$(A)-$(MISSING)-$$(A)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "VERSION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['version']"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "no", "optional": True}}},
    ]
    app = script(
        "env; echo ARG=$0",
        args=["$(A)"],
        env=env,
        envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "P_"}],
    )
    cluster.create(
        "Pod", "one", {"restartPolicy": "Never", "containers": [app]}, metadata={"labels": {"version": "v9"}}
    )
    try:
        await cluster.until(lambda: phase(cluster) == "Succeeded")
    finally:
        del os.environ["C756_TEST_LEAK"]
    pod = cluster.get("Pod", "one")
    found = dict(line.split("=", 1) for line in cluster.log(pod).splitlines() if "=" in line)
    assert (found["A"], found["B"], found["ARG"]) == ("one", "one-$(MISSING)-$(A)", "one")
    assert (found["POD"], found["HOSTNAME"], found["VERSION"]) == ("one", "one", "v9")
    assert (found["IP"], found["P_COLOUR"]) == (pod["status"]["podIP"], "green")
    assert not {"NONE", "C756_TEST_LEAK", "P_not a name"} & found.keys()
    assert found["HOME"].startswith(str(cluster.settings.pods / "test_one"))


async def test_volumes_are_found_by_their_paths_in_commands_and_variables(cluster):
    cluster.create("ConfigMap", "settings", data={"a.txt": "from a config map"})
    volumes = [
        {"name": "conf", "configMap": {"name": "settings"}},
        {"name": "key", "secret": {"secretName": "keys"}},
        {"name": "shared", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts = [
        {"name": "conf", "mountPath": "/etc/conf"},
        {"name": "key", "mountPath": "/etc/key"},
        {"name": "shared", "mountPath": "/shared"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    writer = script(
        "echo written > $OUT", env=[{"name": "OUT", "value": "/shared/file"}], volumeMounts=mounts
    )
    reader = {
        **script(""),
        "command": [
            "sh",
            "-c",
            'cat "$@"; cat $KEY; echo; test $TMPDIR = $T',
            "sh",
            "/etc/conf/a.txt",
            "/shared/file",
        ],
        "env": [{"name": "KEY", "value": "/etc/key/k"}, {"name": "T", "value": "/tmp"}],
        "volumeMounts": mounts,
    }
    cluster.create(
        "Pod",
        "one",
        {
            "restartPolicy": "Never",
            "volumes": volumes,
            "initContainers": [{**writer, "name": "w"}],
            "containers": [reader],
        },
    )
    await cluster.until(lambda: any("FailedMount" in e for e in cluster.events("one")))
    cluster.create("Secret", "keys", data={"k": "c2VjcmV0"})
    await cluster.until(lambda: phase(cluster) == "Succeeded")
    assert cluster.log(cluster.get("Pod", "one")) == "from a config mapwritten\nsecret\n"


async def test_a_mounted_config_map_follows_its_changes(cluster):
    cluster.create("ConfigMap", "settings", data={"a": "one", "b": "goes"})
    text = "while :; do cat /conf/a; echo; ls /conf | wc -l; sleep 0.05; done".replace("/conf", "$CONF")
    app = script(
        text, env=[{"name": "CONF", "value": "/conf"}], volumeMounts=[{"name": "c", "mountPath": "/conf"}]
    )
    cluster.create(
        "Pod", "one", {"volumes": [{"name": "c", "configMap": {"name": "settings"}}], "containers": [app]}
    )
    await cluster.until(lambda: "one\n2\n" in cluster.log(cluster.get("Pod", "one")))
    cluster.edit("ConfigMap", "settings", lambda found: found.update(data={"a": "two"}))
    await cluster.until(lambda: cluster.log(cluster.get("Pod", "one")).endswith("two\n1\n"))
    cluster.store.delete("ConfigMap", "test", "settings")
    await cluster.until(lambda: cluster.container("one").get("ready"))


async def test_a_variable_that_no_process_can_have(cluster):
    cluster.create("Secret", "keys", data={"k": "AGE="})
    env = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}}]
    cluster.create("Pod", "one", {"restartPolicy": "Never", "containers": [script("true", env=env)]})
    await cluster.until(lambda: phase(cluster) == "Failed")
    assert cluster.container_state(cluster.get("Pod", "one"))["terminated"]["reason"] == "StartError"


async def test_active_deadline_of_a_pod(cluster):
    cluster.create(
        "Pod",
        "one",
        {"activeDeadlineSeconds": 1, "restartPolicy": "Never", "containers": [script("exec sleep 100")]},
    )
    await cluster.until(lambda: phase(cluster) == "Failed")
    assert cluster.get("Pod", "one")["status"]["reason"] == "DeadlineExceeded"
    assert cluster.processes() == []


def until_told(log: Path, first: str, last: str) -> str:
    """Return a script that notes its start and, at SIGTERM, its end."""
    return f"echo {first} >> {log}; trap 'echo {last} >> {log}; exit 0' TERM; while :; do sleep 0.05; done"


class FakeProxies:
    """An istiod whose sidecars are shell scripts."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.drained = []

    def proxy_argv(self, pod):
        return ["sh", "-c", until_told(self.folder / "order", "proxy", "proxy-end")]

    async def proxy_ready(self, pod) -> bool:
        return (self.folder / "proxy-ready").exists()

    async def drain(self, pod) -> None:
        self.drained.append(pod["metadata"]["name"])

    def proxy_env(self, pod):
        return {"HTTP_PROXY": f"http://{pod['status']['podIP']}:15001"}


async def test_istio_s_sidecar_comes_first_and_goes_last(tmp_path):
    proxies = FakeProxies(tmp_path)
    async with running(tmp_path, 119, istiod=proxies) as cluster:
        app = container("c756.local/machine:latest", readinessProbe=None)
        app.pop("readinessProbe")
        text = until_told(tmp_path / "order", "app $HTTP_PROXY $GUNICORN_CMD_ARGS", "app-end")
        app |= {"command": ["sh", "-c", text]}
        spec = {
            "initContainers": [{"name": "istio-proxy", "image": "auto", "restartPolicy": "Always"}],
            "containers": [app],
        }
        cluster.create("Pod", "one", spec)
        await cluster.until((tmp_path / "order").exists)
        pod = cluster.get("Pod", "one")
        assert not pod["status"]["initContainerStatuses"][0]["started"]
        assert phase(cluster) == "Pending"
        (tmp_path / "proxy-ready").touch()
        await cluster.until(lambda: phase(cluster) == "Running" and "app" in (tmp_path / "order").read_text())
        pod = cluster.get("Pod", "one")
        address = pod["status"]["podIP"]
        behind = cluster.settings.app_ip(address)
        assert pod["status"]["initContainerStatuses"][0]["ready"]
        cluster.store.delete("Pod", "test", "one")
        await cluster.until(lambda: cluster.store.find("Pod", "test", "one") is None)
        order = (tmp_path / "order").read_text().splitlines()
        assert order == ["proxy", f"app http://{address}:15001 --bind={behind}:7000", "app-end", "proxy-end"]
        assert proxies.drained == ["one"]
