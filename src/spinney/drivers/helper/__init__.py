"""The host helper: the one small container of ours that may be on a host, to read its counters.

``helper.c`` is the program, ``build`` compiles it, and what it compiled to stands beside it for each architecture.
``image`` packs it into an image, ``answers`` knows what it says. Nothing here does any I/O but reading these files.
"""
