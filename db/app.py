"""cmpt756db: what gunicorn serves; the service itself is in db/datastore.py."""

from db.datastore import create_app
from servicekit.config import start

app = start(create_app)
