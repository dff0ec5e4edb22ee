"""Runs of clusters that do a job and end: begun, carried on and ended."""
