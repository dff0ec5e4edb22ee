"""Clusters of Docker containers on clusters of hosts, through the OpenStack Clustering API."""

__version__ = "0.1.0"
