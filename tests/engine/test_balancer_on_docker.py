"""Real HAProxy in real containers keeps the promises of load balancers."""

from __future__ import annotations

import pytest

from balancer_image import balancer_archive
from drivers.test_docker_contract import world
from engine.balancer_contract import BalancerPromises

__all__ = ["world"]

pytestmark = pytest.mark.integration


class TestDocker(BalancerPromises):
    @pytest.fixture
    def archive(self) -> bytes:
        return balancer_archive()
