"""`python -m local.helm`."""

from local.helm.cli import run

run()
