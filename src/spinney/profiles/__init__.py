"""Profile types: what nodes can be made from. ``registry`` has them all; each type is a module of its own."""
