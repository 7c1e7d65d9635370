"""Images on one machine: snapshots of files with a virtual environment, made from the same Dockerfiles."""
