"""What a machine tells of itself through a Prometheus node_exporter: ``client`` fetches, ``metrics`` reads (pure)."""
