"""`python -m local`: start and stop the one-machine mesh."""

from local.cli import main

main()
