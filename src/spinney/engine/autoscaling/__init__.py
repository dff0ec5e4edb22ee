"""Autoscaling at work: what members use is collected by whoever watches their hosts, one engine decides for each cluster."""
