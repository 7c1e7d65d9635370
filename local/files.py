"""Files that others read while they are written."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o644) -> bool:
    """Put `text` into `path` in one step (readers see the old or the new); tell whether it changed."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.touch(mode=mode)
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    return True
