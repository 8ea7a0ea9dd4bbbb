"""The proxy in front of the pods, and the sidecars beside them: nginx, Envoy, HAProxy."""
