"""What gunicorn serves: `gunicorn -c python:servicekit.gunicorn_conf console.wsgi:app`."""

from console.app import create_app
from servicekit.config import start

app = start(create_app)
