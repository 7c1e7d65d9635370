"""The command line: tools/release.py."""

import argparse
import getpass
import os
import socket
import sys
from pathlib import Path

from tools.release import report
from tools.release.cluster import ROOT, Cluster, ClusterError
from tools.release.display import display
from tools.release.lease import Lease, LeaseHeldError, holder
from tools.release.plan import DEFAULT, Plan, PlanError, load
from tools.release.progress import EXIT_CODES
from tools.release.prometheus import Prometheus, PrometheusError, address
from tools.release.record import Routing
from tools.release.routing import RoutingError
from tools.release.run import NotReadyError, Release, clear
from tools.release.stop import Stop

_CODES = """exit codes:
  0  promoted: all users get the candidate
  1  rolled back: the candidate is worse, or the release was ended by Ctrl-C or a signal
  2  could not judge: too little traffic, no metrics, another release runs, or it could not begin;
     the users have the stable version, unless somebody else has set the traffic
  3  the cluster did not answer, and the traffic could not be set back: tools/release.py rollback
"""


def _identity() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}-{os.getpid()}"


def _release(plan: Plan, reports: Path) -> int:
    url = address()
    prometheus = Prometheus(url)
    prometheus.samples("up", 60)  # before anything is changed
    stop = Stop()
    stop.listen()
    screen = display(plan)
    try:
        release = Release(
            plan, Cluster(plan.namespace), prometheus, identity=_identity(), display=screen, stop=stop
        )
        progress = release.run()
    finally:
        screen.close()
    for path in report.write(progress, reports):
        print(f"  {path}")
    print(report.summary(progress))
    return EXIT_CODES[progress.ending]


def _check(plan: Plan) -> int:
    """Say whether a release could begin, as far as that is known before the candidate is deployed."""
    cluster = Cluster(plan.namespace)
    routing = Routing(cluster, plan)
    if routing.read() is None:
        routing.check()
    print(f"A release of {plan.service} {plan.candidate} can begin.")
    return 0


def _rollback(plan: Plan) -> int:
    """End a release that was left unfinished."""
    cluster = Cluster(plan.namespace)
    lease = Lease(cluster, f"{plan.service}-release", _identity())
    lease.acquire()
    try:
        print(clear(Routing(cluster, plan)) or "There is no unfinished release.")
    finally:
        lease.release()
    return 0


def _status(plan: Plan) -> int:
    """Say whether a release runs."""
    cluster = Cluster(plan.namespace)
    record = Routing(cluster, plan).read()
    if record is None:
        print(f"No release of {plan.service} runs.")
        return 0
    found = holder(cluster.get("lease", f"{plan.service}-release"))
    runs = found is not None and found.remaining > 0
    print(
        f"{record.release}: {record.candidate} at {record.weight} %, by {record.holder}, since {record.started}"
    )
    print("It runs." if runs else "It was left unfinished: tools/release.py rollback, or start a new one.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/release.py",
        description="Release the candidate that is deployed: dark launch, growing shares of the users, sequential "
        "judgement against the stable version, and back to it on harm, Ctrl-C, SIGTERM or lost metrics.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        default="run",
        choices=["run", "check", "rollback", "status"],
        help="run: the release (default); check: could one begin?; rollback: end one whose tool has crashed; "
        "status: does one run?",
    )
    parser.add_argument("--plan", type=Path, default=DEFAULT, help="default: %(default)s")
    parser.add_argument(
        "--reports",
        type=Path,
        default=ROOT / "logs",
        help="folder of the JSON and HTML reports; default: %(default)s",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        plan = load(options.plan)
        if options.command == "run":
            return _release(plan, options.reports)
        return {"check": _check, "rollback": _rollback, "status": _status}[options.command](plan)
    except (PlanError, RoutingError, NotReadyError, LeaseHeldError, ClusterError, PrometheusError) as error:
        for line in str(error).splitlines():
            print(f"release: {line}", file=sys.stderr)
        return 2
