"""Taking a cluster's members to another profile."""
