"""Which container of a pod a request is about."""

from local.apiserver import defaults, errors
from local.kinds import Object


def chosen(pod: Object, name: str) -> str:
    """Return the container that a request names, or the only one; raises ApiError (400)."""
    pod_name = pod["metadata"]["name"]
    everyone = [str(container["name"]) for container in defaults.containers(pod["spec"])]
    if name:
        if name not in everyone:
            raise errors.bad_request(f"container {name} is not valid for pod {pod_name}")
        return name
    main = [str(container["name"]) for container in pod["spec"]["containers"]]
    if len(main) == 1:
        return main[0]
    text = f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(main)}]"
    raise errors.bad_request(text)


def status(pod: Object, name: str) -> Object:
    """Return a container's status, empty where there is none yet."""
    for field in ("containerStatuses", "initContainerStatuses"):
        for found in (pod.get("status") or {}).get(field) or []:
            if found.get("name") == name:
                return dict(found)
    return {}


def running(pod: Object, name: str) -> bool:
    """Tell whether a container runs."""
    return (status(pod, name).get("state") or {}).get("running") is not None
