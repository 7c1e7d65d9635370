"""A pod's status from those of its containers: phase and conditions, as the kubelet computes them."""

from dataclasses import dataclass, field

from local.controllers import conditions
from local.kinds import Object


@dataclass
class ContainerState:
    """What is known of one container."""

    name: str
    image: str
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})
    last_state: Object = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0
    image_id: str = ""
    container_id: str = ""

    @property
    def running(self) -> bool:
        """Tell whether it runs."""
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that has ended, else None."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def to_status(self) -> Object:
        """Return it as v1.ContainerStatus."""
        status: Object = {
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
        }
        if self.container_id:
            status["containerID"] = self.container_id
        return status


def is_sidecar(container: Object) -> bool:
    """Tell whether an init container is a native sidecar: it runs beside the others until they have ended."""
    return bool(container.get("restartPolicy") == "Always")


def initialized(pod: Object, states: dict[str, ContainerState]) -> bool:
    """Tell whether all init containers have done their part."""
    for container in pod["spec"].get("initContainers") or []:
        state = states[container["name"]]
        if is_sidecar(container):
            if not state.started:
                return False
        elif state.exit_code != 0:
            return False
    return True


def phase(pod: Object, states: dict[str, ContainerState], *, ended: bool) -> str:
    """Return status.phase; `ended`: nothing of the pod runs any more, nor will."""
    apps = [states[container["name"]] for container in pod["spec"]["containers"]]
    if ended:
        inits = [states[c["name"]] for c in pod["spec"].get("initContainers") or [] if not is_sidecar(c)]
        return "Succeeded" if all(s.exit_code == 0 for s in [*inits, *apps]) else "Failed"
    begun = [s for s in apps if s.running or s.last_state or s.exit_code is not None]
    return "Running" if len(begun) == len(apps) else "Pending"


def pod_conditions(pod: Object, states: dict[str, ContainerState], *, ended: bool) -> list[Object]:
    """Return the pod's conditions (Initialized, Ready, ContainersReady …)."""
    known = (pod.get("status") or {}).get("conditions") or []
    serving = [states[c["name"]] for c in pod["spec"]["containers"]]
    inits = pod["spec"].get("initContainers") or []
    serving += [states[c["name"]] for c in inits if is_sidecar(c)]
    unready = [state.name for state in serving if not state.ready]
    done = initialized(pod, states) or ended
    known = conditions.merged(known, "PodReadyToStartContainers", "False" if ended else "True")
    if done:
        reason = "PodCompleted" if ended and all(s.exit_code == 0 for s in states.values()) else ""
        known = conditions.merged(known, "Initialized", "True", reason)
    else:
        waiting = [
            c["name"]
            for c in inits
            if not (states[c["name"]].started if is_sidecar(c) else states[c["name"]].exit_code == 0)
        ]
        text = f"containers with incomplete status: [{' '.join(waiting)}]"
        known = conditions.merged(known, "Initialized", "False", "ContainersNotInitialized", text)
    for kind in ("Ready", "ContainersReady"):
        if ended:
            reason = "PodCompleted" if phase(pod, states, ended=True) == "Succeeded" else "PodFailed"
            known = conditions.merged(known, kind, "False", reason)
        elif unready or not done:
            text = f"containers with unready status: [{' '.join(unready)}]"
            known = conditions.merged(known, kind, "False", "ContainersNotReady", text)
        else:
            known = conditions.merged(known, kind, "True")
    return conditions.merged(known, "PodScheduled", "True")


def pod_status(pod: Object, states: dict[str, ContainerState], *, ended: bool) -> Object:
    """Return the whole status of a pod, keeping its addresses and its start time."""
    old = pod.get("status") or {}
    status: Object = {name: old[name] for name in _KEPT if name in old}
    # A pod with a reason of its own was ended by the kubelet (DeadlineExceeded).
    status["phase"] = "Failed" if ended and "reason" in status else phase(pod, states, ended=ended)
    status["conditions"] = pod_conditions(pod, states, ended=ended)
    inits = pod["spec"].get("initContainers") or []
    if inits:
        status["initContainerStatuses"] = [states[c["name"]].to_status() for c in inits]
    status["containerStatuses"] = [states[c["name"]].to_status() for c in pod["spec"]["containers"]]
    return status


_KEPT = ("hostIP", "hostIPs", "podIP", "podIPs", "startTime", "qosClass", "reason", "message")
