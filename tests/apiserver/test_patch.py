"""Strategic merge patch, JSON merge patch and JSON patch."""

import pytest

from local.apiserver import patch, schema
from local.apiserver.errors import ApiError

DEPLOYMENT = schema.of_kind("apps", "v1", "Deployment")
SERVICE = schema.of_kind("", "v1", "Service")


def pod_spec(**fields):
    return {"spec": {"template": {"spec": fields}}}


def merged(original, change, node=DEPLOYMENT):
    return patch.strategic_merge(original, change, node)


def test_containers_merge_by_name_and_keep_their_place():
    before = pod_spec(containers=[{"name": "a", "image": "1"}, {"name": "b", "image": "1"}])
    after = merged(before, pod_spec(containers=[{"name": "b", "image": "2"}, {"name": "c", "image": "1"}]))
    containers = after["spec"]["template"]["spec"]["containers"]
    assert containers == [
        {"name": "a", "image": "1"},
        {"name": "b", "image": "2"},
        {"name": "c", "image": "1"},
    ]


def test_the_original_is_left_alone():
    before = pod_spec(containers=[{"name": "a", "image": "1"}])
    merged(before, pod_spec(containers=[{"name": "a", "image": "2"}]))
    assert before == pod_spec(containers=[{"name": "a", "image": "1"}])


def test_delete_directive_takes_an_item_out():
    before = pod_spec(containers=[{"name": "a"}, {"name": "b"}])
    after = merged(before, pod_spec(containers=[{"name": "a", "$patch": "delete"}]))
    assert after == pod_spec(containers=[{"name": "b"}])


def test_replace_directive_of_a_list_and_of_a_map():
    before = pod_spec(containers=[{"name": "a"}, {"name": "b"}], nodeSelector={"x": "1", "y": "2"})
    change = pod_spec(
        containers=[{"name": "c"}, {"$patch": "replace"}], nodeSelector={"$patch": "replace", "z": "3"}
    )
    assert merged(before, change) == pod_spec(containers=[{"name": "c"}], nodeSelector={"z": "3"})


def test_retain_keys_drops_the_others():
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    after = merged(before, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    assert after == {"spec": {"strategy": {"type": "Recreate"}}}


def test_set_element_order_sorts_and_keeps_what_the_server_added():
    before = pod_spec(containers=[{"name": "injected"}, {"name": "a"}, {"name": "b"}])
    change = pod_spec(**{"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": []})
    names = [c["name"] for c in merged(before, change)["spec"]["template"]["spec"]["containers"]]
    assert names == ["injected", "b", "a"]


def test_finalizers_are_a_set_with_deletions():
    before = {"metadata": {"finalizers": ["a", "b"]}}
    change = {"metadata": {"finalizers": ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"]}}
    assert merged(before, change) == {"metadata": {"finalizers": ["a", "c"]}}


def test_service_ports_merge_by_port_and_args_are_replaced():
    before = {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "x"}]}}
    after = merged(before, {"spec": {"ports": [{"port": 81, "name": "y"}]}}, SERVICE)
    assert after == {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "y"}]}}
    before = pod_spec(containers=[{"name": "a", "args": ["1", "2"]}])
    after = merged(before, pod_spec(containers=[{"name": "a", "args": ["3"]}]))
    assert after == pod_spec(containers=[{"name": "a", "args": ["3"]}])


def test_null_removes_and_leaves_no_null_behind():
    assert merged({"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"a": None, "b": None}}}) == {
        "metadata": {"labels": {}}
    }
    assert merged({}, {"spec": {"paused": None, "replicas": 2}}) == {"spec": {"replicas": 2}}


def test_an_item_without_its_key_is_refused():
    with pytest.raises(ApiError, match="does not contain declared merge key: name") as caught:
        merged(pod_spec(containers=[]), pod_spec(containers=[{"image": "x"}]))
    assert caught.value.code == 400


def test_json_merge_patch():
    before = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert patch.merge_patch(before, {"a": {"b": None, "c": [3]}, "e": {"f": None}}) == {
        "a": {"c": [3]},
        "d": 1,
        "e": {},
    }


def test_json_patch_and_its_refusals():
    before = {"a": [1]}
    assert patch.json_patch(before, [{"op": "add", "path": "/a/-", "value": 2}]) == {"a": [1, 2]}
    with pytest.raises(ApiError) as caught:
        patch.json_patch(before, [{"op": "test", "path": "/a/0", "value": 9}])
    assert caught.value.code == 422
    with pytest.raises(ApiError) as caught:
        patch.json_patch(before, [{"op": "replace", "path": "/nope/x", "value": 9}])
    assert caught.value.code == 422
    with pytest.raises(ApiError) as caught:
        patch.json_patch(before, {"a": 1})
    assert caught.value.code == 400
