"""Helm's command line over the real Helm engine (helm-python-sdk), for any kubeconfig."""
