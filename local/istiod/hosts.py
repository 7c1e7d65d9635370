"""Names of services: short ones, full ones, wildcards.

Rules: https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService (hosts) and
https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/.
"""

DOMAIN = "cluster.local"


def service_host(name: str, namespace: str) -> str:
    """Return the full name of a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{DOMAIN}"


def full_name(host: str, namespace: str) -> str:
    """Return `host` as an object of `namespace` means it: a name without a dot is a Service there."""
    host = host.lower()
    return host if "." in host or host.startswith("*") else service_host(host, namespace)


def short_names(host: str, namespace: str) -> list[str]:
    """Return every spelling of `host` that DNS resolves for a client in `namespace`, the full one first."""
    suffix = f".svc.{DOMAIN}"
    if not host.endswith(suffix):
        return [host]
    base = host.removesuffix(suffix)
    names = [host, f"{base}.svc", base]
    name, _, own_namespace = base.rpartition(".")
    if own_namespace == namespace:
        names.append(name)
    return names


def covers(pattern: str, host: str) -> bool:
    """Tell whether `pattern` (a name, `*` or `*.suffix`) stands for every name that `host` stands for."""
    if pattern in ("*", host):
        return True
    return pattern.startswith("*") and host.endswith(pattern[1:]) and len(host) >= len(pattern)


def intersection(one: str, other: str) -> str | None:
    """Return the narrower of two names or wildcards, None where they have no name in common."""
    if covers(one, other):
        return other
    return one if covers(other, one) else None
