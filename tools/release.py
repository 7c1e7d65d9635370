#!/usr/bin/env python3
"""Release the candidate version of S2: see --help and docs/release.md."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv/bin/python"

if __name__ == "__main__":
    if Path(sys.prefix).resolve() != PYTHON.parent.parent.resolve():
        if not PYTHON.exists():
            sys.exit("release: nothing is set up: make up")
        os.execv(PYTHON, [str(PYTHON), __file__, *sys.argv[1:]])  # noqa: S606
    sys.path[0] = str(ROOT)
    from tools.release.cli import main

    sys.exit(main())
