"""What stands in for iptables: variables by which an application's traffic goes through its sidecar."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from local.istiod.hosts import short_names
from local.istiod.listeners import EGRESS_PORT
from local.istiod.model import Snapshot
from local.istiod.workloads import PROXY_CONTAINER, containers, has_proxy
from local.kinds import Object
from local.store import Store, namespace_of

EgressPorts = Mapping[tuple[str, int], int]

# TLS is not rewritten: the certificate is for the host's own name. Such traffic takes HTTPS_PROXY.
_URL = re.compile(
    r"(?P<scheme>(?!https:)[a-z][a-z0-9+.-]*)://(?P<user>[^/@]*@)?(?P<host>[^/:@]+):(?P<port>\d+)"
)


def application_variables(pod: Object, store: Store) -> Iterator[tuple[str, str]]:
    """Yield name and value of the applications' variables, those from ConfigMaps and Secrets too."""
    namespace = namespace_of(pod)
    for container in containers(pod):
        if container["name"] == PROXY_CONTAINER:
            continue
        for source in container.get("envFrom") or []:
            for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if field in source:
                    data = _data(store, kind, namespace, source[field].get("name", ""))
                    yield from ((source.get("prefix", "") + key, value) for key, value in data.items())
        for variable in container.get("env") or []:
            if "value" in variable:
                yield variable["name"], variable["value"]
            for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
                reference = (variable.get("valueFrom") or {}).get(field)
                if reference:
                    value = _data(store, kind, namespace, reference.get("name", "")).get(reference["key"])
                    if value is not None:
                        yield variable["name"], value


def _data(store: Store, kind: str, namespace: str, name: str) -> dict[str, str]:
    obj = store.find(kind, namespace, name) or {}
    data = dict(obj.get("data") or {})
    if kind == "Secret":
        data = {key: _text(value) for key, value in data.items()}
        data |= obj.get("stringData") or {}
    return data


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def all_hosts_known(pod: Object, store: Store, snapshot: Snapshot) -> bool:
    """Tell whether the hosts that the applications' URLs name are services of the mesh already.

    Variables are set once, at a process' start; iptables would not mind a ServiceEntry that comes later.
    """
    namespace = namespace_of(pod)
    known = {
        name
        for service in snapshot.visible_services(namespace)
        for name in (*short_names(service.host, namespace), *service.addresses)
    }
    matches = (_URL.match(value) for _, value in application_variables(pod, store))
    return all(match["host"].lower() in known for match in matches if match)


def rewritten(value: str, address: str, ports: EgressPorts) -> str:
    """Return the URL of a TCP host and port as that of the sidecar's listener for it; the rest as it is."""
    match = _URL.match(value)
    if match is None:
        return value
    port = ports.get((match["host"].lower(), int(match["port"])))
    if port is None:
        return value
    return f"{match['scheme']}://{match['user'] or ''}{address}:{port}{value[match.end() :]}"


def proxy_env(pod: Object, store: Store, snapshot: Snapshot, egress_ports: EgressPorts) -> dict[str, str]:
    """Return the variables that `pod`'s applications get besides their own, {} where there is no sidecar."""
    if not has_proxy(pod):
        return {}
    address, namespace = pod["status"]["podIP"], namespace_of(pod)
    names = {
        (name, port.number): egress_ports[service.host, port.number]
        for service in snapshot.visible_services(namespace)
        for port in service.ports
        if (service.host, port.number) in egress_ports
        for name in (*short_names(service.host, namespace), *service.addresses)
    }
    proxy = f"http://{address}:{EGRESS_PORT}"
    direct = f"{address},localhost,127.0.0.1"
    result = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": direct}
    # curl reads the lower-case spelling of HTTP_PROXY only.
    result |= {name.lower(): value for name, value in result.items()}
    for name, value in application_variables(pod, store):
        new = rewritten(value, address, names)
        if new != value:
            result[name] = new
    return result
