"""The small tools behind the make targets."""
