"""URLs that health policies name, asked of a real server through the egress guard."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from drivers.test_egress import Site
from engine.world import World
from permitted import LOOPBACK
from spinney.domain.egress import NO_RULES, Rules
from spinney.domain.health_rules import UrlCheck
from spinney.domain.health_sights import Says, Sight
from spinney.drivers.egress.client import Outgoing
from spinney.drivers.simulated.pki import make_pki
from spinney.engine.watching import urls


async def page(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="all is well", status=503 if request.path == "/web-2" else 200)


async def asked(url: str, rules: Rules = LOOPBACK, **values: Any) -> Sight:
    poller = Outgoing(rules, together=0, to_one=0)
    check = UrlCheck(url, attempts=2, pause=0.0, **values)
    try:
        return await urls.look(World(host_count=0).context(poller=poller), check, "web-1")
    finally:
        await poller.close()


def test_a_page_is_asked_for_by_the_name_of_the_node() -> None:
    async def body() -> None:
        async with Site(page) as site:
            home = f"http://127.0.0.1:{site.port}"
            assert (await asked(f"{home}/{{nodename}}", expected="^all is")).says is Says.WELL
            assert [request.path for request in site.requests] == ["/web-1"]
            found = await asked(f"{home}/{{nodename}}", expected="^well")
            assert found.says is Says.ILL and "does not match '^well'" in found.text
            assert (await asked(f"{home}/web-2")).text == "its URL answers with status 503"
            assert len(site.requests) == 5, "what is ill is asked again, what is well is not"

    asyncio.run(body())


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:{port}/{{nodename}}", "loopback"),
        ("http://localhost:{port}/", "loopback"),
        ("http://169.254.169.254/latest/{{nodename}}", "metadata"),
        ("http://169.254.1.1:{port}/", "link-local"),
        ("http://10.0.0.1:{port}/", "private"),
    ],
)
def test_an_address_that_is_not_permitted_is_not_asked_and_says_nothing_of_the_member(url: str, kind: str) -> None:
    async def body() -> None:
        async with Site(page) as site:
            found = await asked(url.format(port=site.port), NO_RULES)
            assert found.says is Says.UNKNOWN and kind in found.text
            assert site.requests == []

    asyncio.run(body())


def test_no_answer_is_ill_or_unknown_as_the_policy_says() -> None:
    async def body() -> None:
        async with Site(page) as site:
            url = f"http://127.0.0.1:{site.port}/"
        assert (await asked(url)).says is Says.ILL
        assert (await asked(url, errors_count=False)).says is Says.UNKNOWN

    asyncio.run(body())


def test_certificates_are_verified_unless_the_policy_says_otherwise(tmp_path: Path) -> None:
    tls = make_pki(tmp_path, datetime.now(UTC)).server_context()
    tls.verify_mode = ssl.CERT_NONE  # of clients

    async def body() -> None:
        runner = web.ServerRunner(web.Server(page, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        try:
            url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
            found = await asked(url)
            assert found.says is Says.ILL and "certificate" in found.text
            assert (await asked(url, verify=False)).says is Says.WELL
        finally:
            await runner.cleanup()

    asyncio.run(body())
