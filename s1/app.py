"""cmpt756s1: what gunicorn serves; the service itself is in s1/users.py."""

from s1.users import create_app
from servicekit.config import start

app = start(create_app)
