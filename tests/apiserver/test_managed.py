"""Server-side apply and the owners of fields."""

import pytest

from local.apiserver import managed, schema
from local.apiserver.errors import ApiError

from .conftest import deployment

NODE = schema.of_kind("apps", "v1", "Deployment")
CONFIG = schema.of_kind("", "v1", "ConfigMap")
CUSTOM = schema.of_kind("networking.istio.io", "v1", "VirtualService")


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def apply(live, applied, manager, node=CONFIG, *, force=False):
    return managed.server_side_apply(live, applied, node, manager=manager, force=force)


def managers(obj):
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in obj["metadata"].get("managedFields", [])}


def test_what_a_manager_no_longer_applies_is_removed():
    live = apply(config(a="1", b="2"), config(a="1", b="2"), "one")
    assert apply(live, config(a="1"), "one")["data"] == {"a": "1"}


def test_what_another_manager_applied_stays():
    live = apply(config(a="1"), config(a="1"), "one")
    live = apply(live, config(b="2"), "two")
    assert live["data"] == {"a": "1", "b": "2"}
    live = apply(live, config(), "one")
    assert live["data"] == {"b": "2"}
    assert managers(live) == {("two", "Apply"): {"f:data": {"f:b": {}}}, ("one", "Apply"): {"f:data": {}}}


def test_a_shared_field_stays_until_its_last_owner_drops_it():
    live = apply(config(a="1"), config(a="1"), "one")
    live = apply(live, config(a="1"), "two")
    live = apply(live, config(x="1"), "one")
    assert live["data"] == {"a": "1", "x": "1"}
    assert "a" not in apply(live, config(y="1"), "two")["data"]


def test_another_value_is_a_conflict_that_force_resolves():
    live = apply(config(a="1"), config(a="1"), "one")
    with pytest.raises(ApiError) as caught:
        apply(live, config(a="2"), "two")
    assert caught.value.code == 409
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    live = apply(live, config(a="2"), "two", force=True)
    assert live["data"] == {"a": "2"}
    assert set(managers(live)) == {("two", "Apply")}


def test_an_update_takes_the_field_over():
    live = apply(config(a="1", b="1"), config(a="1", b="1"), "one")
    changed = {**live, "data": {"a": "2", "b": "1"}}
    managed.record_update(live, changed, CONFIG, manager="editor")
    assert managers(changed) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("editor", "Update"): {"f:data": {"f:a": {}}},
    }
    with pytest.raises(ApiError, match=r'conflict with "editor" using update: \.data\.a'):
        apply(changed, config(a="1", b="1"), "one")


def test_an_update_without_a_change_changes_no_owner():
    live = apply(config(a="1"), config(a="1"), "one")
    same = {**live, "data": dict(live["data"])}
    managed.record_update(live, same, CONFIG, manager="editor")
    assert same == live


def test_containers_merge_by_name_and_ports_by_port_and_protocol():
    live = deployment()
    live["spec"]["template"]["spec"]["containers"].append({"name": "other", "image": "o:1"})
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    applied = deployment()
    applied["spec"]["template"]["spec"]["containers"][0]["image"] = "new:1"
    after = apply(live, applied, "one", NODE)
    containers = after["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["app", "other"]
    assert containers[0]["image"] == "new:1"
    assert containers[0]["imagePullPolicy"] == "Always"
    assert containers[0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_a_container_that_is_no_longer_applied_goes_with_its_defaults():
    applied = deployment()
    applied["spec"]["template"]["spec"]["containers"].append({"name": "extra", "image": "e:1"})
    live = apply(applied, applied, "one", NODE)
    live["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "IfNotPresent"
    after = apply(live, deployment(), "one", NODE)
    assert [c["name"] for c in after["spec"]["template"]["spec"]["containers"]] == ["app"]


def test_lists_of_custom_resources_are_replaced_whole():
    old = {"spec": {"hosts": ["a", "b"], "http": [{"name": "x"}]}, "metadata": {"name": "v"}}
    new = {"spec": {"hosts": ["c"], "http": [{"name": "y"}]}, "metadata": {"name": "v"}}
    live = apply(old, old, "one", CUSTOM)
    assert apply(live, new, "one", CUSTOM)["spec"] == new["spec"]
    with pytest.raises(ApiError, match="with 2 conflicts: "):
        apply(live, new, "two", CUSTOM)


def test_an_empty_object_owns_nothing_that_others_filled():
    live = {"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}}
    live = apply(live, {"metadata": {"name": "n"}, "spec": {}}, "one", schema.of_kind("", "v1", "Namespace"))
    again = apply(live, {"metadata": {"name": "n"}, "spec": {}}, "two", schema.of_kind("", "v1", "Namespace"))
    assert again["spec"] == {"finalizers": ["kubernetes"]}


def test_a_second_apply_of_the_same_changes_nothing():
    live = apply(deployment(), deployment(), "one", NODE)
    assert apply(live, deployment(), "one", NODE) == live


def test_a_dropped_structure_takes_its_defaults_along():
    plain, probed = deployment("web"), deployment("web")
    container = probed["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 80}}
    live = apply(probed, probed, "one", NODE)
    stored = live["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    stored.update(periodSeconds=10, httpGet={**stored["httpGet"], "scheme": "HTTP"})
    left = apply(live, plain, "one", NODE)
    assert "readinessProbe" not in left["spec"]["template"]["spec"]["containers"][0]
    assert left["metadata"]["name"] == "web"
