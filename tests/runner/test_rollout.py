"""The arithmetic of rolling updates, and which fields of objects are refused."""

import pytest
import yaml

from local.controllers import rollout
from local.kubelet import support
from local.settings import ROOT


def deployment(replicas, surge="25%", unavailable="25%", kind="RollingUpdate"):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": kind, "rollingUpdate": rolling}}}


def rs(name, replicas, available, created="2026-01-01T00:00:00Z", most=None):
    annotations = {rollout.MAX_REPLICAS: str(most)} if most else {}
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": annotations},
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (1, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (4, 1, 0, (1, 0)),
        (4, 0, 0, (0, 1)),
        (1, "0%", "10%", (0, 1)),
        (3, 0, "100%", (0, 3)),
    ],
)
def test_limits(replicas, surge, unavailable, expected):
    assert rollout.limits(deployment(replicas, surge, unavailable)) == expected


@pytest.mark.parametrize(
    ("made", "old", "new", "expected"),
    [
        (deployment(4, 1, 0), 4, 0, 1),
        (deployment(4, 1, 0), 4, 1, 1),
        (deployment(4, 2, 0), 3, 1, 3),
        (deployment(4, "100%", 0), 4, 0, 4),
        (deployment(4, kind="Recreate"), 4, 0, 4),
    ],
)
def test_the_new_set_grows_into_the_room_that_max_surge_leaves(made, old, new, expected):
    sets = [rs("old", old, old), rs("new", new, 0)]
    assert rollout.new_replicas(made, sets, sets[1]) == expected


@pytest.mark.parametrize(
    ("made", "new", "old", "expected"),
    [
        # Nothing may go while the new pod is not available.
        (deployment(2, 1, 0), rs("new", 1, 0), [rs("a", 2, 2)], {}),
        (deployment(2, 1, 0), rs("new", 1, 1), [rs("a", 2, 2)], {"a": 1}),
        # Unhealthy old pods go first, even before the new one is there.
        (deployment(3, 1, 1), rs("new", 1, 0), [rs("a", 2, 2), rs("b", 1, 0)], {"b": 0}),
        (deployment(3, 0, 3), rs("new", 0, 0), [rs("a", 3, 3)], {"a": 0}),
        (deployment(2, 1, 0), rs("new", 2, 2), [rs("a", 1, 1), rs("b", 1, 1)], {"a": 0, "b": 0}),
    ],
)
def test_old_sets_shrink_as_far_as_max_unavailable_allows(made, new, old, expected):
    assert rollout.scaled_down(made, new, old) == expected


def test_scaling_in_the_middle_of_a_rollout_keeps_the_proportions():
    sets = [rs("old", 8, 8, most=13), rs("new", 5, 5, "2026-01-02T00:00:00Z", most=13)]
    plan = rollout.proportional(deployment(15, 3, 2), sets)
    assert sum(plan.values()) == 18
    assert plan == {"old": 11, "new": 7}
    assert sum(rollout.proportional(deployment(5, 0, 2), sets).values()) == 5


def test_the_hash_is_that_of_the_template_without_its_own_label():
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}
    own = {
        **template,
        "metadata": {"labels": {"app": "a", rollout.HASH_LABEL: "x"}, "creationTimestamp": None},
    }
    assert rollout.template_hash(template, 0) == rollout.template_hash(own, 0)
    assert rollout.template_hash(template, 0) != rollout.template_hash(template, 1)
    assert len(rollout.template_hash(template, 0)) == 10


@pytest.mark.parametrize("name", ["s2-dpl-v1.yaml", "s2-dpl-v2.yaml"])
def test_the_project_s_deployments_are_supported(name):
    found = yaml.safe_load((ROOT / "cluster" / name).read_text())
    assert support.problems(found) == []


def test_fields_that_are_not_implemented_are_refused_with_their_paths():
    pod = {
        "hostAliases": [{"ip": "1.2.3.4"}],
        "volumes": [
            {"name": "a", "hostPath": {"path": "/"}},
            {"name": "b", "emptyDir": {"medium": "Memory"}},
        ],
        "containers": [
            {"name": "a", "stdin": True, "resources": {}, "startupProbe": {"grpc": {"port": 1}}},
            {
                "name": "b",
                "ports": [{"containerPort": 1, "hostPort": 2, "protocol": "UDP"}],
                "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                "livenessProbe": {"httpGet": {"port": 1, "httpHeaders": []}, "periodSeconds": 1},
            },
        ],
    }
    job = {
        "kind": "Job",
        "spec": {"completionMode": "Indexed", "podFailurePolicy": {}, "template": {"spec": pod}},
    }
    where = "spec.template.spec"
    assert [path for path, _ in support.problems(job)] == [
        "spec.completionMode",
        "spec.podFailurePolicy",
        f"{where}.hostAliases",
        f"{where}.volumes[0].hostPath",
        f"{where}.containers[0].stdin",
        f"{where}.containers[0].startupProbe.grpc",
        f"{where}.containers[1].ports[0].hostPort",
        f"{where}.containers[1].ports[0].protocol",
        f"{where}.containers[1].env[0].valueFrom.resourceFieldRef",
    ]
    assert support.problems({"kind": "Pod", "spec": pod})[0][0] == "spec.hostAliases"
    assert support.problems({"kind": "ConfigMap", "data": {}}) == []
