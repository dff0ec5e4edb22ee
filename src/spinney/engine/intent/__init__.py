"""What is wanted of clusters, decided and stored: fan-out, rounds, policies, quotas, plans."""
