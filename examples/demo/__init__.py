"""The demo behind ``./run demo``: a Docker engine, a small image, Spinney, and a walk through its command line.

Needs nothing but the standard library, and knows Spinney only as a stranger does: by its commands and what they print.
"""
