"""The one-machine mesh: a Kubernetes API, a runner and Envoy sidecars on loopback addresses."""
