"""Runs scenarios: clients, proxies, stack, runner, simulator, commands."""
