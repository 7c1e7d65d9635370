"""Kubernetes' times (RFC 3339, whole seconds) as numbers."""

from datetime import UTC, datetime


def seconds_since(text: str) -> float:
    """Return the seconds from a time such as 2026-01-31T12:00:00Z until now. Raises ValueError."""
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
