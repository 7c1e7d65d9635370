"""Real load at the Guide's level: one user on S1, five on S2."""

import time

from tests.local.mesh import Mesh, eventually


def test_the_load_of_the_guide(v1_only: Mesh) -> None:
    mesh = v1_only
    out = mesh.run("./gatling-1-user.sh && ./gatling-5-music.sh")
    assert "logs/" in out
    try:
        of_gateway = 'reporter="source",source_workload="istio-ingressgateway"'

        def measured(app: str) -> float:
            rows = mesh.query(f'sum(rate(istio_requests_total{{{of_gateway},destination_app="{app}"}}[30s]))')
            return float(rows[0]["value"][1]) if rows else 0.0

        # A user waits 1 s after each answer: slightly less than one request a second each.
        eventually(lambda: 0.7 <= measured("cmpt756s1") <= 1.1, 90, "one user on S1")
        eventually(lambda: 4.2 <= measured("cmpt756s2") <= 5.2, 60, "five users on S2")
        listed = mesh.run("tools/list-gatling.sh")
        assert "ReadUserSim" in listed
        assert "ReadMusicSim" in listed
        time.sleep(30)
        p99 = mesh.query(
            "histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket"
            '{reporter="source",source_workload="istio-ingressgateway"}[30s])))'
        )
        assert float(p99[0]["value"][1]) < 150
        bad = mesh.query(
            'sum(increase(istio_requests_total{reporter="source",response_code!="200"}[1m])) or vector(0)'
        )
        assert float(bad[0]["value"][1]) == 0
    finally:
        mesh.run("tools/kill-gatling.sh")
    assert "ReadUserSim" not in mesh.run("tools/list-gatling.sh")
    assert not [command for command in mesh.processes() if "proj756" in command]
