"""Load balancers of clusters: made, told what to do, and their members kept in and out."""
