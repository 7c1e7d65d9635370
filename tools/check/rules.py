"""Syntax of names, durations, ports and addresses in Kubernetes and Istio: a reason each, or nothing."""

import ipaddress
import re
from datetime import timedelta

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST_LABEL = r"[a-zA-Z0-9_]([-a-zA-Z0-9_]*[a-zA-Z0-9_])?"
_QUALIFIED = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"([-+]?)((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:h|ms|m|s|us|µs|ns))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|µs|ns)")


def dns_label(value: str) -> str | None:
    """RFC 1123 label: subsets, ports, containers, namespaces."""
    if len(value) <= 63 and re.fullmatch(_LABEL, value):
        return None
    return f'"{value}" must be at most 63 of a-z, 0-9 and "-", and begin and end with a letter or digit'


def dns_subdomain(value: str) -> str | None:
    """RFC 1123 subdomain: names of objects."""
    if len(value) <= 253 and re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", value):
        return None
    return f'"{value}" must be of a-z, 0-9, "-" and ".", and begin and end with a letter or digit'


def label_key(value: str) -> str | None:
    """Key of a label or an annotation: an optional DNS prefix and a name."""
    prefix, _, name = value.rpartition("/")
    if len(name) <= 63 and re.fullmatch(_QUALIFIED, name) and not (prefix and dns_subdomain(prefix)):
        return None
    return f'"{value}" is not the key of a label'


def label_value(value: str) -> str | None:
    """Value of a label."""
    if value == "" or (len(value) <= 63 and re.fullmatch(_QUALIFIED, value)):
        return None
    return f'"{value}" is not the value of a label: at most 63 letters, digits, "-", "_" and "."'


def host(value: str, *, wildcard: bool = True) -> str | None:
    """Host name as in VirtualServices: a DNS name, with a leading ``*`` if allowed, or an IP address."""
    if wildcard and value == "*":
        return None
    name = value.removeprefix("*.") if wildcard else value
    if len(name) <= 253 and re.fullmatch(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?", name):
        if not re.fullmatch(r"[0-9]+", name.rsplit(".", 1)[-1]):
            return None
        return (
            None
            if value == name and not ip_address(value)
            else f'"{value}" is neither a host name nor an IP address'
        )
    return None if not ip_address(value) else f'"{value}" is not a host name'


def ip_address(value: str) -> str | None:
    """IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return f'"{value}" is not an IP address'
    return None


def ip_network(value: str) -> str | None:
    """Address, or network as ADDRESS/BITS."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return f'"{value}" is neither an IP address nor a network such as 10.0.0.0/8'
    return None


def port(value: int) -> str | None:
    """Number of a TCP or UDP port."""
    return None if 1 <= value <= 65535 else f"must be between 1 and 65535, not {value}"


def percentage(value: float) -> str | None:
    """Percentage as in Istio's ``Percent``: Envoy knows millionths, so nothing between 0 and 0.0001."""
    if value == 0 or 0.0001 <= value <= 100:
        return None
    return f"must be 0 or between 0.0001 and 100, not {value:g}"


def parse_duration(value: str) -> timedelta:
    """Duration in Go's syntax, such as ``1.5s``, ``300ms`` or ``1h30m``.

    Raises:
        ValueError: if it is not one.
    """
    if value == "0":
        return timedelta()
    match = _DURATION.fullmatch(value)
    if not match:
        raise ValueError(f'"{value}" is not a duration such as 1.5s, 300ms or 1h30m')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(value))
    return timedelta(seconds=-seconds if match[1] == "-" else seconds)


def duration(value: str) -> str | None:
    """Duration of one or more whole milliseconds, as the CustomResourceDefinitions and istiod demand."""
    try:
        parsed = parse_duration(value)
    except ValueError as error:
        return str(error)
    if parsed < timedelta(milliseconds=1):
        return f"must be at least 1ms, not {value}"
    return None if parsed.microseconds % 1000 == 0 else f"must be whole milliseconds, not {value}"


def regex(value: str) -> str | None:
    """Regular expression that RE2, Envoy's engine, can run; istiod takes at most 1,024 characters."""
    if not value:
        return "must not be empty"
    if len(value) > 1024:
        return "must not be longer than 1024 characters"
    if re.search(r"(?<!\\)\((\?[=!]|\?<[=!])|(?<!\\)\\[1-9]", value):
        return f'"{value}" has a look-around or a back-reference, which Envoy (RE2) does not know'
    # RE2 knows a few escapes and flags that Python does not; leave those to Envoy.
    if re.search(r"\\[pPzQEC]|\(\?[a-zA-Z-]*U|\[\[:", value):
        return None
    try:
        re.compile(value)
    except re.error as error:
        return f'"{value}" is not a regular expression: {error}'
    return None
