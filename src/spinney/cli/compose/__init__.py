"""Compose files: read with the place of each value, and turned into what Spinney has for it.

Pure: text and variables go in, a ``whole.Deployment`` or all faults of the file come out. Guaranteed: nothing of a file is
passed over in silence; a key without a counterpart here is a fault that names its path and line.
"""
