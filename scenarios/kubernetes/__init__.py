"""What to apply to a cluster for one scenario: the manifests of `deploy/kubernetes`, sized for it."""
