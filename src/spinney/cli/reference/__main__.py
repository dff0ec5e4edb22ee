"""Prints one page."""

import sys

from spinney.cli.reference import main

sys.exit(main(sys.argv[1:]))
