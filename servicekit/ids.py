"""Identifiers: keys of users and songs are UUIDs (RFC 9562), read in any case and kept in lower case."""

import re

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def parse_id(text: object) -> str | None:
    """Return `text` as a key, or None where it is not a UUID and so cannot be the key of anything."""
    if not isinstance(text, str):
        return None
    key = text.lower()
    return key if _UUID.fullmatch(key) else None
