"""cmpt756s2, version 1: what gunicorn serves; the service itself is in s2/music.py."""

from s2.music import create_app
from servicekit.config import start

app = start(create_app, version="v1")
