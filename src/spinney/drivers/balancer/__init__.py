"""The image of load balancers: HAProxy as Debian packs it, and the few scripts by which it is spoken with."""
