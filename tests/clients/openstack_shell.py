"""Runs ``openstack`` commands in one process, so that the client is loaded once: JSON lines in, JSON lines out.

It is run by the Python of the client's own environment, and imports nothing of this project. The client is as it came: this
calls its shell as its command does. A line holds the words of a command; the answer holds what it printed and its exit code.
"""

import contextlib
import io
import json
import logging
import os
import sys

from openstackclient.shell import OpenStackShell


def run(words):
    out, err = io.StringIO(), io.StringIO()
    sys.stdin = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = OpenStackShell().run(words)
        except SystemExit as leaving:
            code = leaving.code
    for handler in list(logging.getLogger("").handlers):  # each shell adds its own
        logging.getLogger("").removeHandler(handler)
    return {"code": int(code or 0), "out": out.getvalue(), "err": err.getvalue()}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed past Python's own stdout is no answer
    for line in io.TextIOWrapper(os.fdopen(0, "rb")):
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
