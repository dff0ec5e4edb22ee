"""Waiting for actions: as long as they last. The service gives each action an end, and Ctrl-C leaves it running."""

from __future__ import annotations

import time
from typing import Any

from osc_lib.exceptions import CommandError

from spinney.osc.wire import FINAL, Api, action_of, inside

_FIRST = 0.2
_LONGEST = 3.0


def wait_for(api: Api, action_id: str) -> dict[str, Any]:
    """The action once it is done. Raises: CommandError, when it did not succeed."""
    pause = _FIRST
    while (action := api.one("actions", action_id))["status"] not in FINAL:
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
    if action["status"] != "SUCCEEDED":
        raise CommandError(f"Action {action_id} ({action['action']}) {action['status']}: {action['status_reason']}")
    return action


def outcome(api: Api, response: Any, path: str, wait: bool) -> dict[str, Any]:
    """The object that a request made or changed, as it is now or, if waited for, once the action is done."""
    if wait:
        wait_for(api, action_of(response))
    return api.one(path, inside(response.json())["id"])
