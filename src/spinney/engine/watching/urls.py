"""Asking a URL that a health policy names whether a member is well.

Guaranteed: every request passes the egress guard; so many are under way at a time in one process, and whoever waits between
two attempts holds up nobody. An address that the guard refuses says nothing about the member: that is unknown.
"""

from __future__ import annotations

from spinney.domain.health_rules import UrlCheck
from spinney.domain.health_sights import LARGEST_BODY, Says, Sight, of_answer, of_silence, unknown, url_for
from spinney.engine.context import EngineContext
from spinney.errors import OutgoingFailed, OutgoingRefused


async def look(context: EngineContext, check: UrlCheck, node_name: str) -> Sight:
    """The first attempt at which it is not ill, or the last."""
    found = unknown("this engine asks no URLs")
    for attempt in range(check.attempts):
        if attempt:
            await context.clock.sleep(check.pause)
        found = await _attempt(context, check, node_name)
        if found.says is not Says.ILL:
            break
    return found


async def _attempt(context: EngineContext, check: UrlCheck, node_name: str) -> Sight:
    if context.poller is None:
        return unknown("this engine asks no URLs")
    async with context.checks.gate:
        try:
            answer = await context.poller.request(
                "GET",
                url_for(check, node_name),
                seconds=check.timeout,
                largest=LARGEST_BODY,
                verify=check.verify,
            )
        except OutgoingRefused as refused:
            return unknown(f"its URL may not be asked: {refused.message}")
        except OutgoingFailed as failed:
            return of_silence(check, failed.message)
    return of_answer(check, answer.status, answer.body)
