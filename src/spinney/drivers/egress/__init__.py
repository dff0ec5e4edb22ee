"""Requests to addresses that somebody outside chose: what leaves here passes ``domain.egress``."""
