"""Small values as Kubernetes writes them, and as Envoy's JSON (proto3 JSON mapping) wants them."""

import re
from typing import Any

Json = dict[str, Any]
"""A piece of Envoy configuration."""

# One of Go's units may follow another: 1h30m (https://pkg.go.dev/time#ParseDuration).
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def seconds(text: str) -> float:
    """Return a Go duration (`1.5s`, `1h30m`, `100ms`) in seconds; raises ValueError."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 5s, 100ms or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def duration(text: str) -> str:
    """Return a Go duration as google.protobuf.Duration's JSON: seconds with up to 9 decimals."""
    return f"{seconds(text):.9f}".rstrip("0").rstrip(".") + "s"


def fractional_percent(percent: float) -> Json:
    """Return Envoy's FractionalPercent of a percentage from 0 to 100, four decimals kept."""
    return {"numerator": round(percent * 10_000), "denominator": "MILLION"}


def socket_address(address: str, port: int) -> Json:
    """Return Envoy's Address of a TCP endpoint."""
    return {"socket_address": {"address": address, "port_value": port}}


def typed(message: str, /, **fields: Any) -> Json:  # noqa: ANN401 - messages hold every JSON type
    """Return a google.protobuf.Any (`message`: `envoy.…v3.Message`)."""
    return {"@type": f"type.googleapis.com/{message}", **fields}
