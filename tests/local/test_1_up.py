"""`make up` as a newcomer meets it."""

import socket
from typing import Any

from tests.local.mesh import Mesh, eventually


def test_up_prints_where_and_how(mesh: Mesh) -> None:
    for text in (
        f"http://127.0.0.1:{mesh.ingress_port}/",
        f"http://127.0.0.1:{mesh.prometheus_port}/",
        "./gatling-5-music.sh",
        "tools/s2ver.sh v2",
        "make down",
    ):
        assert text in mesh.up_output


def test_a_second_up_says_that_it_runs(mesh: Mesh) -> None:
    assert "runs already" in mesh.run("make up")


def test_every_pod_is_ready_with_its_sidecar(mesh: Mesh) -> None:
    rows = [row.split() for row in mesh.kubectl("-n c756ns get pods --no-headers").splitlines()]
    running = {row[0].rsplit("-", 2)[0]: row[1:3] for row in rows if row[2] != "Completed"}
    assert running == {name: ["2/2", "Running"] for name in ("cmpt756s1", "cmpt756s2-v1", "cmpt756db")}


def test_the_sample_data_is_there(mesh: Mesh) -> None:
    users, songs = mesh.sample("users"), mesh.sample("music")
    assert len(users) >= 100
    assert len(songs) >= 1000
    for row in (songs[0], songs[-1]):
        item = mesh.call("GET", f"/music/{row['music_id']}").json()["Items"][0]
        assert (item["Artist"], item["SongTitle"]) == (row["Artist"], row["SongTitle"])
    assert mesh.call("GET", f"/user/{users[-1]['user_id']}").json()["Count"] == 1


def test_urls_are_printed_and_a_page_answers_at_each(mesh: Mesh) -> None:
    assert mesh.run("make -s -f k8s.mak prometheus-url") == f"http://127.0.0.1:{mesh.prometheus_port}/\n"
    for page, url in (
        ("kiali", f"http://127.0.0.1:{mesh.ingress_port}/kiali"),
        ("grafana", f"http://127.0.0.1:{mesh.env['DASHBOARDS_PORT']}/"),
    ):
        assert mesh.run(f"make -s -f k8s.mak {page}-url").splitlines() == [url]
        answer = mesh.session.get(url, timeout=10)
        assert answer.status_code == 200, (page, answer.text)
        assert "text/html" in answer.headers["Content-Type"]


def test_ls_shows_the_objects(mesh: Mesh) -> None:
    out = mesh.run("make -f k8s.mak ls")
    for name in ("pod/cmpt756s1-", "service/cmpt756s2 ", "virtualservice.networking.istio.io/cmpt756s2 "):
        assert name in out


def test_a_port_in_use_is_named_with_its_variable(mesh: Mesh) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {"C756_NET": str(mesh.net + 3), "C756_STATE": str(mesh.root / ".other"), "PROMETHEUS_PORT": "1"}
        out = mesh.run(".venv/bin/python -m local up", ok=False, INGRESS_PORT=port, **env)
    assert f"127.0.0.1:{port}" in out
    assert "INGRESS_PORT" in out
    assert "Traceback" not in out


def test_a_wrong_setting_is_named(mesh: Mesh) -> None:
    out = mesh.run(".venv/bin/python -m local status", ok=False, INGRESS_PORT="http")
    assert "INGRESS_PORT='http'" in out


def test_prometheus_scrapes_the_services_and_the_sidecars(mesh: Mesh) -> None:
    def targets() -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{mesh.prometheus_port}/api/v1/targets"
        return mesh.session.get(url, timeout=10).json()["data"]["activeTargets"]

    def intervals(label: str, *, sidecars: bool) -> dict[str, str]:
        return {
            t["labels"][label]: t["scrapeInterval"]
            for t in targets()
            if t["labels"].get(label) and (t["labels"]["job"] == "envoy-stats") == sidecars
        }

    services = ("cmpt756s1", "cmpt756s2", "cmpt756db")
    scraped = dict.fromkeys((*services, "c756-console"), "30s")
    eventually(lambda: intervals("service", sidecars=False) == scraped, 10, "the services' targets")
    # The loader's pod, which has ended, stays a target until Prometheus reads the list again.
    proxies = dict.fromkeys((*services, "istio-ingressgateway"), "5s")
    eventually(lambda: intervals("app", sidecars=True) == proxies, 20, "the sidecars' targets")
    eventually(lambda: {t["health"] for t in targets()} == {"up"}, 40, "all targets answer")
