"""Watching and measuring hosts, and how they join and are kept known."""
