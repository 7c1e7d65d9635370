"""Jobs: pods that run to their end, again where they fail."""

from collections.abc import Iterable
from typing import ClassVar

from local.controllers import conditions, pods
from local.controllers.base import Controller, key_of
from local.controllers.events import EventRecorder
from local.controllers.owners import controller_of
from local.controllers.queue import Key
from local.controllers.replicasets import new_pod
from local.controllers.times import seconds_since
from local.kinds import Object
from local.store import Event, Store, StoreError, now

COMPONENT = "job-controller"

_FIRST_BACK_OFF = 10.0
_LAST_BACK_OFF = 600.0
"""Seconds before a failed pod is replaced, doubled with each failure (DefaultJobPodFailureBackOff)."""


def is_finished(job: Object) -> bool:
    """Tell whether a Job is complete or has failed for good."""
    return conditions.is_true(job, "Complete") or conditions.is_true(job, "Failed")


class JobController(Controller):
    """Runs Jobs to completion: completions, parallelism, backoffLimit, deadlines, clean-up."""

    watches: ClassVar = ("Job", "Pod")

    def __init__(self, store: Store, recorder: EventRecorder, back_off: float = _FIRST_BACK_OFF) -> None:
        super().__init__(store)
        self._recorder = recorder
        self._back_off = back_off

    def keys(self, event: Event) -> Iterable[Key]:
        """Return the Job itself, or the one that a pod belongs to."""
        if event.resource.kind == "Job":
            return [key_of(event.object)]
        ref = controller_of(event.object)
        if ref is None or ref["kind"] != "Job":
            return []
        return [(event.object["metadata"]["namespace"], ref["name"])]

    def reconcile(self, key: Key) -> float | None:
        """Start or end pods of a Job and write its status; return when something is due by the clock."""
        job = self.store.find("Job", *key)
        if job is None or pods.is_terminating(job):
            return None
        if is_finished(job):
            return self._expire(job)
        owned = self.store.owned("Pod", job)
        outcome = self._outcome(job, owned)
        again: float | None = None
        failure = None
        if outcome is not None or job["spec"].get("suspend"):
            self._end(job, owned)
        else:
            try:
                again = self._start(job, owned)
            except StoreError as error:
                self._recorder.warning(COMPONENT, job, "FailedCreate", f"Error creating: {error}")
                failure = error
        self._write_status(job, outcome)
        if failure is not None:
            raise failure
        return again

    def _outcome(self, job: Object, owned: list[Object]) -> tuple[str, str, str] | None:
        """Return the condition that ends the Job now, with reason and message; None while it goes on."""
        spec = job["spec"]
        started = (job.get("status") or {}).get("startTime")
        limit = spec.get("activeDeadlineSeconds")
        succeeded, failed = self._ended(owned)
        retries = failed + sum(
            pods.restarts(pod) for pod in owned if pod["spec"].get("restartPolicy") == "OnFailure"
        )
        # A pod that ended well ends the Job at once only where it was not one of several to come.
        wanted = spec.get("completions")
        if wanted is None and succeeded and not any(pods.is_active(pod) for pod in owned):
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        if wanted is None and "parallelism" not in spec and succeeded:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        if wanted is not None and succeeded >= wanted:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        if retries > spec.get("backoffLimit", 6):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if limit is not None and started and not spec.get("suspend") and seconds_since(started) >= limit:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        return None

    @staticmethod
    def _ended(owned: list[Object]) -> tuple[int, int]:
        """Return how many of the pods succeeded and how many failed."""
        phases = [pods.phase(pod) for pod in owned]
        return phases.count("Succeeded"), phases.count("Failed")

    def _end(self, job: Object, owned: list[Object]) -> None:
        for pod in owned:
            if pods.is_active(pod):
                self.store.delete("Pod", *key_of(pod))
                name = pod["metadata"]["name"]
                self._recorder.normal(COMPONENT, job, "SuccessfulDelete", f"Deleted pod: {name}")

    def _start(self, job: Object, owned: list[Object]) -> float | None:
        """Create the pods that are missing; return the seconds to the next deadline or back-off's end."""
        spec = job["spec"]
        active = [pod for pod in owned if pods.is_active(pod)]
        ending = [
            pod
            for pod in owned
            if pods.is_terminating(pod) and pods.phase(pod) not in ("Succeeded", "Failed")
        ]
        succeeded, failed = self._ended(owned)
        parallelism = spec.get("parallelism", 1)
        wanted = parallelism
        if "completions" in spec or "parallelism" not in spec:
            wanted = min(parallelism, spec.get("completions", 1) - succeeded)
        elif succeeded:
            wanted = len(active)
        wait = self._wait(owned, failed)
        if wait == 0:
            for _ in range(wanted - len(active) - len(ending)):
                created = self.store.create(new_pod(job, spec["template"]))
                name = created["metadata"]["name"]
                self._recorder.normal(COMPONENT, job, "SuccessfulCreate", f"Created pod: {name}")
        for surplus in active[max(0, wanted) :]:
            self.store.delete("Pod", *key_of(surplus))
        due = [wait] if wait else []
        if spec.get("activeDeadlineSeconds") is not None:
            started = (job.get("status") or {}).get("startTime")
            passed = seconds_since(started) if started else 0.0
            due.append(max(0.1, spec["activeDeadlineSeconds"] - passed))
        return min(due) if due else None

    def _wait(self, owned: list[Object], failed: int) -> float:
        """Return how long to wait before the pod that failed last is replaced."""
        if not failed:
            return 0.0
        since = min(seconds_since(_finished_at(pod)) for pod in owned if pods.phase(pod) == "Failed")
        return max(0.0, min(self._back_off * 2.0 ** (failed - 1), _LAST_BACK_OFF) - since)

    def _write_status(self, job: Object, outcome: tuple[str, str, str] | None) -> None:
        owned = self.store.owned("Pod", job)
        active = [pod for pod in owned if pods.is_active(pod)]
        succeeded, failed = self._ended(owned)
        suspended = bool(job["spec"].get("suspend"))

        def change(newest: Object) -> None:
            old = newest.get("status") or {}
            known = old.get("conditions") or []
            status: Object = {
                "active": len(active),
                "ready": sum(map(pods.is_ready, active)),
                "terminating": sum(pods.is_terminating(pod) for pod in owned),
                "succeeded": succeeded,
                "failed": failed,
                "uncountedTerminatedPods": {},
            }
            if suspended or conditions.find(newest, "Suspended"):
                reason = "JobSuspended" if suspended else "JobResumed"
                state = "True" if suspended else "False"
                known = conditions.merged(known, "Suspended", state, reason, reason.replace("Job", "Job "))
            if not suspended:
                status["startTime"] = old.get("startTime") or now()
            if outcome is not None:
                known = self._final(known, outcome)
                if outcome[0] == "Complete":
                    status["completionTime"] = now()
            if known:
                status["conditions"] = known
            keep = ("terminating", "ready", "uncountedTerminatedPods")
            newest["status"] = {k: v for k, v in status.items() if v or k in keep}

        self.store.mark(job, change, status=True)
        if outcome is not None:
            self._tell(job, outcome)

    @staticmethod
    def _final(known: list[Object], outcome: tuple[str, str, str]) -> list[Object]:
        kind, reason, message = outcome
        before = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
        at = now()
        known = conditions.merged(known, before, "True", reason, message, lastProbeTime=at)
        return conditions.merged(known, kind, "True", reason, message, lastProbeTime=at)

    def _tell(self, job: Object, outcome: tuple[str, str, str]) -> None:
        kind, reason, message = outcome
        if kind == "Complete":
            self._recorder.normal(COMPONENT, job, "Completed", "Job completed")
        else:
            self._recorder.warning(COMPONENT, job, reason, message)

    def _expire(self, job: Object) -> float | None:
        """Delete a finished Job when its time to live is over."""
        self._end(job, self.store.owned("Pod", job))
        limit = job["spec"].get("ttlSecondsAfterFinished")
        if limit is None:
            return None
        ended = conditions.find(job, "Complete") or conditions.find(job, "Failed") or {}
        left = limit - seconds_since(ended["lastTransitionTime"])
        if left > 0:
            return float(left)
        self.store.delete("Job", *key_of(job))
        return None


def _finished_at(pod: Object) -> str:
    """Return when the pod's last container ended, or else when the pod was made."""
    times = [
        status["state"]["terminated"]["finishedAt"]
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        if "terminated" in (status.get("state") or {})
    ]
    return str(max(times, default=pod["metadata"]["creationTimestamp"]))
