"""The exercise on a real cluster, any that the kubeconfig names."""
