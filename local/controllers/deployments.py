"""Deployments: a ReplicaSet for each pod template, and the way from one to the next."""

from collections.abc import Iterable
from typing import Any, ClassVar

from local.controllers import conditions, deployment_status, pods, rollout
from local.controllers.base import Controller, key_of
from local.controllers.events import EventRecorder
from local.controllers.owners import controller_of, is_controlled_by, reference
from local.controllers.queue import Key
from local.controllers.selectors import selects
from local.kinds import Object
from local.store import AlreadyExistsError, Event, Store

COMPONENT = "deployment-controller"

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        rollout.REVISION,
        rollout.REVISION_HISTORY,
        rollout.DESIRED_REPLICAS,
        rollout.MAX_REPLICAS,
    }
)
"""Annotations of a Deployment that say nothing about its ReplicaSets."""


class DeploymentController(Controller):
    """Rolls out pod templates: RollingUpdate and Recreate, pausing, scaling, history."""

    watches: ClassVar = ("Deployment", "ReplicaSet", "Pod")

    def __init__(self, store: Store, recorder: EventRecorder) -> None:
        super().__init__(store)
        self._recorder = recorder

    def keys(self, event: Event) -> Iterable[Key]:
        """Return the Deployment itself, or those that a ReplicaSet or a pod that went belongs to."""
        obj = event.object
        if event.resource.kind == "Deployment":
            return [key_of(obj)]
        if event.resource.kind == "Pod":
            return self._of_pod(event)
        ref = controller_of(obj)
        namespace = obj["metadata"]["namespace"]
        if ref is not None:
            return [(namespace, ref["name"])] if ref["kind"] == "Deployment" else []
        return [
            key_of(deployment)
            for deployment in self.store.select("Deployment", namespace)
            if selects(deployment["spec"]["selector"], obj["metadata"].get("labels"))
        ]

    def _of_pod(self, event: Event) -> list[Key]:
        """Return the Deployment whose Recreate waits for this pod's end."""
        ref = controller_of(event.object)
        namespace = event.object["metadata"]["namespace"]
        if event.type != "DELETED" or ref is None or ref["kind"] != "ReplicaSet":
            return []
        rs = self.store.find("ReplicaSet", namespace, ref["name"])
        owner = controller_of(rs) if rs else None
        return [(namespace, owner["name"])] if owner and owner["kind"] == "Deployment" else []

    def reconcile(self, key: Key) -> float | None:
        """Take the next step of a Deployment's rollout; return the seconds to its progress deadline."""
        deployment = self.store.find("Deployment", *key)
        if deployment is None:
            return None
        sets = self._claimed(deployment)
        if pods.is_terminating(deployment):
            return self._write_status(deployment, self._newest(deployment, sets), sets, progress=False)
        self._note_pause(deployment)
        deployment = self.store.get("Deployment", *key)
        if deployment["spec"].get("paused") or self._is_scaling(deployment, sets):
            return self._only_scale(deployment, sets)
        new, sets = self._with_new(deployment, sets)
        if new is None:
            return 0.1  # Recreate: the old pods have to end first; their end is noticed as well.
        deployment = self.store.get("Deployment", *key)
        old = [rs for rs in sets if rs["metadata"]["uid"] != new["metadata"]["uid"]]
        if rollout.is_rolling(deployment):
            self._roll(deployment, new, old)
        else:
            self._scale(deployment, new, rollout.replicas_of(deployment))
        sets = self._claimed(deployment)
        new = self._newest(deployment, sets)
        again = self._write_status(deployment, new, sets, progress=True)
        self._clean_up(deployment, new, sets)
        return again

    def _claimed(self, deployment: Object) -> list[Object]:
        """Return the Deployment's ReplicaSets, oldest first: adopt those without a controller."""
        claimed = []
        for rs in self.store.select("ReplicaSet", deployment["metadata"]["namespace"]):
            chosen = selects(deployment["spec"]["selector"], rs["metadata"].get("labels"))
            if is_controlled_by(rs, deployment):
                claimed.append(rs)
            elif chosen and controller_of(rs) is None and not pods.is_terminating(deployment):
                adopted = self._adopt(rs, deployment)
                claimed += [adopted] if adopted else []
        return sorted(claimed, key=lambda rs: (rs["metadata"]["creationTimestamp"], rollout.revision(rs)))

    def _adopt(self, rs: Object, deployment: Object) -> Object | None:
        def own(newest: Object) -> None:
            newest["metadata"].setdefault("ownerReferences", []).append(reference(deployment))

        return self.store.mark(rs, own)

    @staticmethod
    def _newest(deployment: Object, sets: list[Object]) -> Object | None:
        """Return the ReplicaSet that has the Deployment's present template."""
        wanted = rollout.plain_template(deployment["spec"]["template"])
        for rs in sets:
            if rollout.plain_template(rs["spec"]["template"]) == wanted:
                return rs
        return None

    def _note_pause(self, deployment: Object) -> None:
        paused = bool(deployment["spec"].get("paused"))
        reason = (conditions.find(deployment, "Progressing") or {}).get("reason")
        if reason == deployment_status.TIMED_OUT or paused == (reason == "DeploymentPaused"):
            return
        word = ("DeploymentPaused", "Deployment is paused")
        if not paused:
            word = ("DeploymentResumed", "Deployment is resumed")
        self._note_progress(deployment, "Unknown", *word)

    def _note_progress(self, deployment: Object, state: str, reason: str, text: str) -> None:
        def change(newest: Object) -> None:
            status = newest.setdefault("status", {})
            status["conditions"] = deployment_status.note_progress(newest, state, reason, text)

        self.store.mark(deployment, change, status=True)

    @staticmethod
    def _is_scaling(deployment: Object, sets: list[Object]) -> bool:
        desired = str(rollout.replicas_of(deployment))
        return any(
            (rs["metadata"].get("annotations") or {}).get(rollout.DESIRED_REPLICAS, desired) != desired
            for rs in sets
            if rollout.replicas_of(rs)
        )

    def _only_scale(self, deployment: Object, sets: list[Object]) -> float | None:
        """Scale what is there, and start no new template (paused, or spec.replicas was changed)."""
        new = self._newest(deployment, sets)
        active = [rs for rs in sets if rollout.replicas_of(rs)]
        if len(active) <= 1:
            target = active[0] if active else new or (sets[-1] if sets else None)
            if target:
                self._scale(deployment, target, rollout.replicas_of(deployment))
        elif new and self._is_saturated(deployment, new):
            for rs in active:
                if rs["metadata"]["uid"] != new["metadata"]["uid"]:
                    self._scale(deployment, rs, 0)
        else:
            plan = rollout.proportional(deployment, active) if rollout.is_rolling(deployment) else {}
            for rs in active:
                self._scale(deployment, rs, plan.get(rs["metadata"]["name"], rollout.replicas_of(rs)))
        sets = self._claimed(deployment)
        new = self._newest(deployment, sets)
        self._write_status(deployment, new, sets, progress=False)
        if self._is_scaling(deployment, sets):
            return 0.0
        return None if deployment["spec"].get("paused") else 0.0

    @staticmethod
    def _is_saturated(deployment: Object, rs: Object) -> bool:
        desired = rollout.replicas_of(deployment)
        return rollout.replicas_of(rs) == desired == rollout.available(rs)

    def _with_new(self, deployment: Object, sets: list[Object]) -> tuple[Object | None, list[Object]]:
        """Return the ReplicaSet of the present template, made where it is missing, and all of them.

        With Recreate it is made only after the old pods have ended: None until then.
        """
        new = self._newest(deployment, sets)
        old = [rs for rs in sets if new is None or rs["metadata"]["uid"] != new["metadata"]["uid"]]
        if not rollout.is_rolling(deployment):
            for rs in old:
                self._scale(deployment, rs, 0)
            if self._has_pods(old):
                sets = self._claimed(deployment)
                self._write_status(deployment, new, sets, progress=True)
                return None, sets
        highest = max(map(rollout.revision, old), default=0) + 1
        new = (
            self._create(deployment, highest, sets) if new is None else self._revise(deployment, new, highest)
        )
        self._annotate(deployment, new)
        if conditions.find(deployment, "Progressing") is None:
            text = f'Found new replica set "{new["metadata"]["name"]}"'
            self._note_progress(deployment, "True", "FoundNewReplicaSet", text)
        return new, self._claimed(deployment)

    def _has_pods(self, sets: list[Object]) -> bool:
        """Tell whether a pod of these ReplicaSets still runs, those that are being deleted included."""
        return any(
            pods.phase(pod) not in ("Succeeded", "Failed")
            for rs in sets
            for pod in self.store.owned("Pod", rs)
        )

    def _create(self, deployment: Object, revision: int, sets: list[Object]) -> Object:
        meta, spec = deployment["metadata"], deployment["spec"]
        collisions = (deployment.get("status") or {}).get("collisionCount", 0)
        digest = rollout.template_hash(spec["template"], collisions)
        template = rollout.plain_template(spec["template"])
        template["metadata"]["labels"][rollout.HASH_LABEL] = digest
        selector = {
            **spec["selector"],
            "matchLabels": {**spec["selector"].get("matchLabels", {}), rollout.HASH_LABEL: digest},
        }
        rs: Object = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{meta['name']}-{digest}",
                "namespace": meta["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "annotations": self._annotations(deployment, {}, revision),
                "ownerReferences": [reference(deployment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        if spec.get("minReadySeconds"):
            rs["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        rs["spec"]["replicas"] = rollout.new_replicas(deployment, [*sets, rs], rs)
        try:
            created = self.store.create(rs)
        except AlreadyExistsError:
            # The name is taken by another template or another owner's: the next try gets another name.
            self.store.mark(
                deployment,
                lambda newest: newest.setdefault("status", {}).update(collisionCount=collisions + 1),
                status=True,
            )
            raise
        name = created["metadata"]["name"]
        if created["spec"]["replicas"]:
            self._tell_scaling(deployment, name, 0, created["spec"]["replicas"])
        self._note_progress(deployment, "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return created

    def _revise(self, deployment: Object, rs: Object, revision: int) -> Object:
        """Give the present template's ReplicaSet the newest revision: a roll-back makes an old one new."""

        def change(newest: Object) -> None:
            annotations = newest["metadata"].get("annotations") or {}
            newest["metadata"]["annotations"] = self._annotations(deployment, annotations, revision)
            newest["spec"].pop("minReadySeconds", None)
            if deployment["spec"].get("minReadySeconds"):
                newest["spec"]["minReadySeconds"] = deployment["spec"]["minReadySeconds"]

        return self.store.mark(rs, change) or rs

    @staticmethod
    def _annotations(deployment: Object, present: dict[str, str], revision: int) -> dict[str, str]:
        own = deployment["metadata"].get("annotations") or {}
        annotations = {**present, **{k: v for k, v in own.items() if k not in _NOT_COPIED}}
        before = int(present.get(rollout.REVISION) or 0)
        if before < revision:
            annotations[rollout.REVISION] = str(revision)
            if before:
                history = [*filter(None, [present.get(rollout.REVISION_HISTORY)]), str(before)]
                annotations[rollout.REVISION_HISTORY] = ",".join(history)
        annotations[rollout.DESIRED_REPLICAS] = str(rollout.replicas_of(deployment))
        annotations[rollout.MAX_REPLICAS] = str(
            rollout.replicas_of(deployment) + rollout.limits(deployment)[0]
        )
        return annotations

    def _annotate(self, deployment: Object, new: Object) -> None:
        def change(newest: Object) -> None:
            annotations = newest["metadata"].setdefault("annotations", {})
            annotations[rollout.REVISION] = str(rollout.revision(new))

        self.store.mark(deployment, change)

    def _roll(self, deployment: Object, new: Object, old: list[Object]) -> None:
        """Take one step: more new pods where there is room, otherwise fewer old ones."""
        desired = rollout.replicas_of(deployment)
        wanted = (
            desired
            if rollout.replicas_of(new) > desired
            else rollout.new_replicas(deployment, [*old, new], new)
        )
        if self._scale(deployment, new, wanted):
            return
        plan = rollout.scaled_down(deployment, new, old)
        for rs in old:
            if rs["metadata"]["name"] in plan:
                self._scale(deployment, rs, plan[rs["metadata"]["name"]])

    def _scale(self, deployment: Object, rs: Object, replicas: int) -> bool:
        """Set a ReplicaSet's replicas and what it was scaled for; tell whether the number changed."""
        before = rollout.replicas_of(rs)

        def change(newest: Object) -> None:
            newest["spec"]["replicas"] = replicas
            annotations = newest["metadata"].setdefault("annotations", {})
            annotations[rollout.DESIRED_REPLICAS] = str(rollout.replicas_of(deployment))
            annotations[rollout.MAX_REPLICAS] = str(
                rollout.replicas_of(deployment) + rollout.limits(deployment)[0]
            )

        self.store.mark(rs, change)
        if before != replicas:
            self._tell_scaling(deployment, rs["metadata"]["name"], before, replicas)
        return before != replicas

    def _tell_scaling(self, deployment: Object, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        text = f"Scaled {direction} replica set {name} from {before} to {after}"
        self._recorder.normal(COMPONENT, deployment, "ScalingReplicaSet", text)

    def _write_status(
        self, deployment: Object, new: Object | None, sets: list[Object], *, progress: bool
    ) -> float | None:
        written: dict[str, Any] = {}

        def change(newest: Object) -> None:
            status = deployment_status.counts(newest, new, sets)
            status["observedGeneration"] = deployment["metadata"]["generation"]
            written.update(deployment_status.with_conditions(newest, new, sets, status, progress=progress))
            newest["status"] = written

        self.store.mark(deployment, change, status=True)
        if not progress:
            return None
        left = deployment_status.seconds_to_deadline(deployment, written.get("conditions", []))
        return None if left is None else left + 1

    def _clean_up(self, deployment: Object, new: Object | None, sets: list[Object]) -> None:
        """Delete the oldest empty ReplicaSets beyond revisionHistoryLimit, once the rollout is complete."""
        status = (self.store.find(*("Deployment", *key_of(deployment))) or {}).get("status") or {}
        if new is None or not deployment_status.is_complete(deployment, status):
            return
        empty = [
            rs
            for rs in sets
            if rs["metadata"]["uid"] != new["metadata"]["uid"]
            and not rollout.replicas_of(rs)
            and not (rs.get("status") or {}).get("replicas")
            and not pods.is_terminating(rs)
        ]
        keep = deployment["spec"].get("revisionHistoryLimit", 10)
        for rs in sorted(empty, key=rollout.revision)[: max(0, len(empty) - keep)]:
            self.store.delete("ReplicaSet", *key_of(rs))
