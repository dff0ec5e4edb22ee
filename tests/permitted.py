"""Addresses of this machine, as an operator permits them for a test bed."""

from spinney.domain import egress

LOOPBACK = egress.rules(["127.0.0.0/8", "::1/128"], [])
