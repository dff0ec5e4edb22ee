"""Containers moved on purpose: draining, rebalancing, revoking."""
