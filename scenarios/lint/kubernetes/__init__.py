"""Rules for what Kubernetes holds of a proxy's configuration: Ingress, ConfigMap, arguments of containers."""
