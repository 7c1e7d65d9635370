"""The traffic graph: from Prometheus' series to nodes, arcs and their places."""
