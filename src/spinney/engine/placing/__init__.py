"""Hosts for containers: asking the scheduler, storing its answers, those that wait."""
