"""Pods and the proxy on other hosts, through host agents."""
