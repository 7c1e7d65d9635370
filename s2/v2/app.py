"""cmpt756s2, version 2: version 1 plus the candidate's change."""

import random

from werkzeug.exceptions import InternalServerError

from s2.music import create_app
from servicekit.config import start

# The share of reads, in percent, that this version answers with 500; 0 fixes it.
PERCENT_ERROR = 50


def fail_sometimes() -> None:
    """Fail PERCENT_ERROR percent of the reads, before they reach the datastore."""
    if random.randrange(100) < PERCENT_ERROR:  # noqa: S311
        raise InternalServerError("get_song failed")


app = start(create_app, version="v2", before_read=fail_sometimes)
