"""ReplicaSets: as many pods as spec.replicas says."""

from collections.abc import Iterable
from typing import ClassVar

from local.controllers import conditions, pods
from local.controllers.base import Controller, key_of
from local.controllers.events import EventRecorder
from local.controllers.owners import controller_of, is_controlled_by, reference
from local.controllers.queue import Key
from local.controllers.selectors import selects
from local.kinds import Object
from local.store import Event, Store, StoreError

COMPONENT = "replicaset-controller"


def new_pod(owner: Object, template: Object) -> Object:
    """Return a pod made from a pod template, controlled by `owner`."""
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **{field: dict(meta[field]) for field in ("labels", "annotations") if meta.get(field)},
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [reference(owner)],
        },
        "spec": template["spec"],
    }


def _deletion_rank(pod: Object) -> tuple[object, ...]:
    """Order in which pods go: what serves least goes first (Kubernetes' ActivePodsWithRanks)."""
    cost = pod["metadata"].get("annotations", {}).get("controller.kubernetes.io/pod-deletion-cost", "0")
    ready = conditions.find(pod, "Ready") or {}
    return (
        bool(pod["spec"].get("nodeName")),
        ("Pending", "Unknown", "Running").index(pods.phase(pod)),
        pods.is_ready(pod),
        int(cost) if cost.lstrip("-").isdecimal() else 0,
        # Newer before older, in times that compare as texts.
        [-ord(c) for c in str(ready.get("lastTransitionTime", ""))],
        -pods.restarts(pod),
        [-ord(c) for c in pod["metadata"]["creationTimestamp"]],
    )


class ReplicaSetController(Controller):
    """Makes and deletes pods, and writes the status that Deployments are rolled out by."""

    watches: ClassVar = ("ReplicaSet", "Pod")

    def __init__(self, store: Store, recorder: EventRecorder) -> None:
        super().__init__(store)
        self._recorder = recorder

    def keys(self, event: Event) -> Iterable[Key]:
        """Return the ReplicaSet itself, or those that a pod belongs or may belong to."""
        obj = event.object
        if event.resource.kind == "ReplicaSet":
            return [key_of(obj)]
        ref = controller_of(obj)
        namespace = obj["metadata"]["namespace"]
        if ref is not None:
            return [(namespace, ref["name"])] if ref["kind"] == "ReplicaSet" else []
        return [
            key_of(rs)
            for rs in self.store.select("ReplicaSet", namespace)
            if selects(rs["spec"]["selector"], obj["metadata"].get("labels"))
        ]

    def reconcile(self, key: Key) -> float | None:
        """Create or delete pods until as many as wanted are active; return when one becomes available."""
        rs = self.store.find("ReplicaSet", *key)
        if rs is None:
            return None
        active = [pod for pod in self._claimed(rs) if pods.is_active(pod)]
        failure = ""
        if not pods.is_terminating(rs):
            difference = rs["spec"].get("replicas", 1) - len(active)
            if difference > 0:
                failure = self._create(rs, difference)
            elif difference < 0:
                self._delete(rs, sorted(active, key=_deletion_rank)[:-difference])
        again = self._write_status(rs, failure)
        if failure:
            raise RuntimeError(failure)
        return again

    def _claimed(self, rs: Object) -> list[Object]:
        """Return the pods of this ReplicaSet: adopt those that nobody controls, release those that left."""
        claimed = []
        for pod in self.store.select("Pod", rs["metadata"]["namespace"]):
            chosen = selects(rs["spec"]["selector"], pod["metadata"].get("labels"))
            if is_controlled_by(pod, rs):
                if chosen:
                    claimed.append(pod)
                elif not pods.is_terminating(pod):
                    self._release(pod, rs)
            elif (
                chosen and controller_of(pod) is None and pods.is_active(pod) and not pods.is_terminating(rs)
            ):
                adopted = self._adopt(pod, rs)
                claimed += [adopted] if adopted else []
        return claimed

    def _adopt(self, pod: Object, rs: Object) -> Object | None:
        def own(newest: Object) -> None:
            newest["metadata"].setdefault("ownerReferences", []).append(reference(rs))

        return self.store.mark(pod, own)

    def _release(self, pod: Object, rs: Object) -> None:
        def disown(newest: Object) -> None:
            meta = newest["metadata"]
            refs = meta.get("ownerReferences", [])
            meta["ownerReferences"] = [ref for ref in refs if ref["uid"] != rs["metadata"]["uid"]]

        self.store.mark(pod, disown)

    def _create(self, rs: Object, number: int) -> str:
        for _ in range(number):
            try:
                pod = self.store.create(new_pod(rs, rs["spec"]["template"]))
            except StoreError as error:
                self._recorder.warning(COMPONENT, rs, "FailedCreate", f"Error creating: {error}")
                return str(error)
            self._recorder.normal(
                COMPONENT, rs, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"
            )
        return ""

    def _delete(self, rs: Object, doomed: list[Object]) -> None:
        for pod in doomed:
            self.store.delete("Pod", *key_of(pod))
            self._recorder.normal(
                COMPONENT, rs, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}"
            )

    def _write_status(self, rs: Object, failure: str) -> float | None:
        claimed = [pod for pod in self._claimed(rs) if pods.phase(pod) not in ("Succeeded", "Failed")]
        active = [pod for pod in claimed if not pods.is_terminating(pod)]
        waits = [pods.seconds_until_available(pod, rs["spec"].get("minReadySeconds", 0)) for pod in active]
        wanted = rs["spec"]["template"].get("metadata", {}).get("labels") or {}
        status = rs.get("status") or {}
        new: Object = {
            "replicas": len(active),
            "fullyLabeledReplicas": sum(
                wanted.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active
            ),
            "readyReplicas": sum(wait is not None for wait in waits),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "terminatingReplicas": len(claimed) - len(active),
            "observedGeneration": rs["metadata"]["generation"],
        }
        known = conditions.without(status.get("conditions") or [], "ReplicaFailure")
        if failure:
            known = conditions.merged(
                status.get("conditions") or [], "ReplicaFailure", "True", "FailedCreate", failure
            )
        if known:
            new["conditions"] = known
        self.store.mark(rs, lambda newest: newest.update(status=new), status=True)
        pending = [wait for wait in waits if wait]
        # Times have whole seconds, so that the end of a wait may be seen up to one too early.
        return min(pending) + 0.1 if pending else None
