"""The real image of load balancers, built once for a run of tests from where this machine's apt gets its packages."""

from __future__ import annotations

from functools import cache

import pytest

from spinney.drivers.balancer.building import CannotBuild, build


@cache
def balancer_archive() -> bytes:
    try:
        return build()
    except CannotBuild as error:
        pytest.fail(f"the image of load balancers cannot be built: {error}", pytrace=False)
