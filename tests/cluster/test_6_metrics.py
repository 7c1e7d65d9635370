"""The metrics of the Guide in the cluster's Prometheus."""

import time

from tests.cluster.cluster import SIDECAR_SCRAPE_SECONDS, Cluster
from tests.support.exercise import read_songs
from tests.support.load import ClosedLoop
from tests.support.waiting import eventually

SENT_BY_S2 = (
    'istio_requests_total{reporter="source",'
    'source_workload="cmpt756s2-v1",destination_service=~"cmpt756db[.].*"}'
)
RECEIVED_BY_S2 = (
    'istio_requests_total{reporter="source",'
    'source_workload="istio-ingressgateway",destination_workload="cmpt756s2-v1"}'
)
UNKNOWN = (
    'istio_requests_total{reporter="destination",'
    'source_workload="unknown",response_code="200",destination_workload="%s"}'
)
WORKLOADS = ("cmpt756s1", "cmpt756s2-v1", "cmpt756db")


def rate(cluster: Cluster, series: str) -> float:
    return cluster.number(f"sum(rate({series}[20s]))")


def test_what_comes_in_goes_out(cluster: Cluster) -> None:
    read_songs(cluster, 5)  # the series are there
    with ClosedLoop(
        [f"{cluster.api}/music/{row['music_id']}" for row in cluster.sample("music")[:20]],
        cluster.headers,
        users=2,
    ):
        eventually(lambda: rate(cluster, SENT_BY_S2) > 5, 30, "load in Prometheus", pause=1)
        time.sleep(25)
        came, went = rate(cluster, RECEIVED_BY_S2), rate(cluster, SENT_BY_S2)
        assert came > 5
        assert abs(went / came - 1) < 0.15, (came, went)


def test_prometheus_shows_as_unknown(cluster: Cluster) -> None:
    """A minute without load: only Prometheus calls, two times each, and nothing is passed on to db."""

    def counts() -> dict[str, float]:
        unknown = {name: cluster.number(f"sum({UNKNOWN % name})") for name in WORKLOADS}
        return {**unknown, "out": cluster.number(f"sum({SENT_BY_S2})")}

    eventually(lambda: all(counts().values()), 60, "the first scrapes", pause=1)
    time.sleep(SIDECAR_SCRAPE_SECONDS)
    start = counts()
    time.sleep(60)
    end = counts()
    for name in WORKLOADS:
        assert 1 <= end[name] - start[name] <= 3, (name, start, end)
    assert end["out"] == start["out"]


def test_the_services_count_their_own_requests(cluster: Cluster) -> None:
    """The applications' own metrics, which the ServiceMonitors ask for; probes are not among them."""
    series = 'flask_http_request_total{namespace="c756ns",service="cmpt756s2",status="200"}'
    before = cluster.number(f"sum({series})")
    read_songs(cluster, 30)
    eventually(
        lambda: cluster.number(f"sum({series})") >= before + 30, 40, "the service's own count", pause=1
    )
    assert cluster.number('sum(flask_http_request_total{namespace="c756ns",path=~"/health|/readiness"})') == 0


def test_bytes_to_dynamodb(cluster: Cluster) -> None:
    """Istio counts what the caller sends as received bytes."""
    pod = cluster.pod("cmpt756db")["name"]
    series = f'istio_tcp_received_bytes_total{{source_workload="cmpt756db",pod="{pod}"}}'

    def sent() -> float:
        return cluster.number(f"sum({series})")

    eventually(lambda: sent() > 0, 30, "bytes in Prometheus", pause=1)
    time.sleep(SIDECAR_SCRAPE_SECONDS)
    before = sent()
    songs = []
    for number in range(200):
        song = {"Artist": "Long" + "x" * 500, "SongTitle": f"{number} " + "y" * 500}
        answer = cluster.call("POST", "/music/", json=song)
        assert answer.status_code == 200, answer.text
        songs.append(answer.json()["music_id"])
    payload = 200 * 1000
    eventually(lambda: sent() - before >= payload, 30, "the payload in Prometheus", pause=1)
    time.sleep(SIDECAR_SCRAPE_SECONDS)
    # An entry's own bytes, and what DynamoDB's protocol and signature need for each request.
    assert sent() - before <= payload + 200 * 3000
    for song in songs:
        assert cluster.call("DELETE", f"/music/{song}").status_code == 200
