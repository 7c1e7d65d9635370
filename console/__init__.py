"""The browser console: traffic graph, dashboards and status, from Prometheus and the Kubernetes API."""
