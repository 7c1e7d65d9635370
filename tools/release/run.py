"""A release: dark launch, steps, promotion; back to the stable version in every other case."""

import datetime
import time
from collections.abc import Callable

from tools.release.cluster import Cluster, ClusterError, ConflictError
from tools.release.conductor import Action, Conductor
from tools.release.display import Display
from tools.release.judge import Judge
from tools.release.lease import Lease, LeaseHeldError
from tools.release.observer import Observer
from tools.release.plan import Plan
from tools.release.progress import Ending, Event, Moment, Progress
from tools.release.prometheus import Prometheus, PrometheusError
from tools.release.record import ChangedError, Routing
from tools.release.stop import Stop

LOOK_EVERY = 2.0  # seconds
CHECK_EVERY = 6.0  # seconds between two looks at the VirtualService and renewals of the lease
ROLL_BACK_FOR = 60.0  # seconds for which a roll-back is tried


class NotReadyError(Exception):
    """A release cannot begin; nothing was changed. The text says why and what to do."""


class _EndError(Exception):
    """The release ends here, not by a decision of the judgement."""

    def __init__(self, ending: Ending, reason: str, *, restore: bool = True) -> None:
        super().__init__(reason)
        self.ending: Ending = ending
        self.restore = restore


def check_candidate(cluster: Cluster, plan: Plan) -> None:
    """Raise NotReadyError unless both versions have a ready pod, ClusterError."""
    for version in (plan.stable, plan.candidate):
        found = cluster.select("deployments", f"app={plan.service},version={version}")
        if not any(one.get("status", {}).get("readyReplicas") for one in found):
            raise NotReadyError(
                f"{plan.service} {version} has no ready pod in {plan.namespace}: deploy it first "
                "(make -f k8s.mak s2-release builds and deploys the candidate)"
            )


class Release:
    """One release, from the lease to the report.

    Args:
        stop: set by signals; the release then rolls back.
    """

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        prometheus: Prometheus,
        *,
        identity: str,
        display: Display,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._identity = identity
        self._display = display
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._began = clock()
        now = datetime.datetime.now(datetime.UTC)
        self._lease = Lease(cluster, f"{plan.service}-release", identity)
        self._routing = Routing(cluster, plan)
        self._observer = Observer(plan, prometheus, clock)
        self._judge = Judge(plan)
        self._checked = clock()
        self._renewed = clock()
        self.progress = Progress(
            plan, f"{plan.service}-{now:%Y%m%d-%H%M%S}", now.isoformat(timespec="seconds")
        )

    # --- the whole -----------------------------------------------------------------------------------
    def run(self) -> Progress:
        """Release the candidate; return how it went.

        Raises LeaseHeldError, NotReadyError, RoutingError, ClusterError before anything is changed.
        """
        self._lease.acquire()
        try:
            self._prepare()
            self._lead()
        finally:
            self._let_go()
        self.progress.seconds = self._since()
        return self.progress

    def _since(self) -> float:
        return self._clock() - self._began

    def _event(self, text: str) -> None:
        self.progress.events.append(Event(self._since(), text))
        self._display.event(text)

    def _end(self, ending: Ending, reason: str) -> None:
        self.progress.ending, self.progress.reason = ending, reason

    def _let_go(self) -> None:
        try:
            self._lease.release()
        except (LeaseHeldError, ClusterError) as error:
            self._event(f"The lease is not given back: {error}")

    # --- before ----------------------------------------------------------------------------------------
    def _prepare(self) -> None:
        """Clear what a crashed release left, and check that a new one can begin."""
        left = clear(self._routing)
        if left:
            self._event(left)
        self._routing.check()
        check_candidate(self._cluster, self._plan)

    # --- the steps -------------------------------------------------------------------------------------
    def _lead(self) -> None:
        plan = self._plan
        try:
            self._set_weight(0)
            safe = "/".join(plan.methods)
            self._event(
                f"Dark launch: {plan.candidate} gets copies of {safe}; users get {plan.stable}'s answers only."
            )
            conductor = Conductor(plan, self._judge, self._clock())
            self._warm_up(conductor)
            self._steps(conductor)
        except _EndError as end:
            self._finish(end.ending, str(end), restore=end.restore)
        except BaseException as error:
            self._finish("rolled back", f"the release tool itself failed: {error!r}", restore=True)
            raise

    def _warm_up(self, conductor: Conductor) -> None:
        until = self._clock() + self._plan.warm_up
        while self._clock() < until:
            self._pause(min(LOOK_EVERY, until - self._clock()))
            self._show(conductor, "warming up, not judged")
        begun = False
        while not begun:
            begun = self._ask(self._observer.begin)
            if not begun:
                self._pause(LOOK_EVERY)

    def _steps(self, conductor: Conductor) -> None:
        while True:
            self._pause(LOOK_EVERY)
            self._ask(lambda: self._weigh(conductor))
            decision = conductor.decide(self._clock())
            self._show(conductor, decision.reason)
            if decision.action is Action.STEP:
                conductor.next_step(self._clock())
                self._set_weight(conductor.step.weight)
                self._event(
                    f"Step: {self._plan.candidate} gets {conductor.step.weight} % of the users' requests."
                )
            elif decision.action is Action.PROMOTE:
                self._promote(decision.reason)
                return
            elif decision.action is Action.ROLL_BACK:
                raise _EndError("rolled back", decision.reason)
            elif decision.action is Action.GIVE_UP:
                raise _EndError("undecided", decision.reason)

    def _weigh(self, conductor: Conductor) -> None:
        news = self._observer.take()
        if news.failures:
            self._judge.add_failures(news.failures.stable, news.failures.candidate)
        if news.latencies:
            self._judge.add_latencies(news.latencies.stable, news.latencies.candidate, self._observer.bounds)
        conductor.hear(news.stable, news.candidate, self._clock())
        self.progress.add(news)

    def _ask(self, question: Callable[[], None]) -> bool:
        """Ask Prometheus; a failure is borne for as long as the plan says."""
        text = "it has no new samples of the sidecars"
        try:
            question()
        except PrometheusError as error:
            text, answered = str(error), False
        else:
            answered = True
        if self._observer.age >= self._plan.metrics_lost:
            raise _EndError("undecided", f"Prometheus is lost for {self._observer.age:.0f} s: {text}")
        return answered

    def _show(self, conductor: Conductor, state: str) -> None:
        step = conductor.step
        stable, candidate = self.progress.sides(self._observer.bounds)
        minimum = step.minimum + (self._plan.warm_up if conductor.index == 0 else 0)
        elapsed = conductor.elapsed(self._clock())
        moment = Moment(
            self._since(),
            step.name,
            step.weight,
            elapsed,
            minimum,
            state,
            stable,
            candidate,
            self._judge.findings(),
        )
        self.progress.moments.append(moment)
        self._display.moment(moment)

    # --- guards ------------------------------------------------------------------------------------------
    def _pause(self, seconds: float) -> None:
        """Wait; see to the lease and the VirtualService. Raises _EndError."""
        reason = self._stop.wait(max(0.0, seconds))
        if reason:
            raise _EndError("rolled back", reason)
        if self._clock() - self._checked < CHECK_EVERY:
            return
        self._checked = self._clock()
        try:
            self._lease.renew()
            self._routing.look()
        except LeaseHeldError as error:
            raise _EndError("undecided", str(error), restore=False) from error
        except ChangedError as error:
            raise _EndError("undecided", str(error)) from error
        except ClusterError as error:
            if self._clock() - self._renewed >= self._lease.duration:
                raise _EndError("undecided", f"the cluster is lost: {error}") from error
            self._event(f"The cluster does not answer, trying again: {error}")
        else:
            self._renewed = self._clock()

    def _set_weight(self, weight: int) -> None:
        def write() -> None:
            self._routing.set_weight(weight, self.progress.release, self._identity, self.progress.started)

        self._write(write)

    def _write(self, write: Callable[[], None]) -> None:
        """Write the VirtualService; a change of its other parts is met by reading again. Raises _EndError."""
        deadline = self._clock() + self._lease.duration
        while True:
            try:
                try:
                    write()
                except ConflictError:
                    self._routing.look()
                    write()
            except ChangedError as error:
                raise _EndError("undecided", str(error)) from error
            except ClusterError as error:
                if self._clock() >= deadline:
                    raise _EndError("undecided", f"the VirtualService cannot be written: {error}") from error
                reason = self._stop.wait(1)
                if reason:
                    raise _EndError("rolled back", reason) from error
            else:
                return

    # --- the end -----------------------------------------------------------------------------------------
    def _promote(self, reason: str) -> None:
        self._write(self._routing.promote)
        self._end("promoted", reason)
        self._event(f"Promoted: {self._plan.candidate} serves all users.")

    def _finish(self, ending: Ending, reason: str, *, restore: bool) -> None:
        if not restore:
            self._end(ending, reason)
            self._event(f"Ended, the traffic is not touched: {reason}")
            return
        try:
            text = self._restore()
        except ClusterError as error:
            self._end("stuck", f"{reason}; and the roll-back failed: {error}")
            self._event(
                f"NOT ROLLED BACK: {error}\nWhen the cluster answers again: tools/release.py rollback"
            )
        else:
            self._end(ending, reason)
            self._event(f"{text}: {reason}")

    def _restore(self) -> str:
        """Put the rules from before the release back, again and again for a while; return what was done.

        Rules that somebody else has set stay. Raises ClusterError.
        """
        deadline = self._clock() + ROLL_BACK_FOR
        while True:
            try:
                if self._routing.read() is None:
                    return "Ended; the traffic is as somebody else has set it"
                if not self._routing.is_as_written:
                    self._routing.forget()
                    return "Ended; the traffic stays as somebody else has set it"
                self._routing.restore()
            except ClusterError as error:
                if self._clock() >= deadline:
                    raise
                self._event(f"The roll-back is tried again: {error}")
                self._sleep(1)
            else:
                return f"Rolled back: {self._plan.stable} serves all users"


def clear(routing: Routing) -> str | None:
    """End a release that was left unfinished; return what was done, None if there was none. Raises ClusterError."""
    record = routing.read()
    if record is None:
        return None
    if routing.is_as_written:
        routing.restore()
        done = "rolled back"
    else:
        routing.forget()
        done = "somebody has changed its rules since, so they stay, and its record is removed"
    routing.read()
    return f"An unfinished release was found ({record.release}, candidate at {record.weight} %): {done}."
