"""Load balancers that Octavia keeps for the service: of which kind a new one is, and each of them as its row tells."""

from __future__ import annotations

from spinney.domain.balancing.model import OCTAVIA, Balancer
from spinney.domain.cluster import Cluster
from spinney.domain.identity import Owner
from spinney.engine.balancing.octavia import Api, OctaviaBalancer, choose
from spinney.engine.context import EngineContext
from spinney.errors import OctaviaFailed, OctaviaRefused
from spinney.store import balancing, pools
from spinney.store.pools import Situation

#: What is said where the owner of a cluster lets the service do nothing.
UNTRUSTED = (
    "the owner of the cluster does not let the service ask Octavia: have that user attach the policy anew, with a token from "
    "signing in"
)
#: Seconds that Octavia is left to take somebody out before nobody waits for that any more, of the time for draining.
_TO_TAKE_OUT, _SHARE = 10.0, 0.5


class Elsewhere:
    def __init__(self, context: EngineContext) -> None:
        self._context = context

    async def settle(self, of: Balancer, cluster: Cluster) -> None:
        """Of which kind it is, from now on. Raises: OctaviaFailed: nobody knows yet."""
        context = self._context
        kind = await choose(context.octavia, context.balancer.kind)
        owner = {"user": cluster.user, "project": cluster.project}
        await context.store.transact(pools.settle, of, kind, {"owner": owner} if kind == OCTAVIA else {})

    def balancer(self, found: Situation) -> OctaviaBalancer:
        """Raises: OctaviaFailed."""
        cluster = found.cluster
        tags = (f"spinney-deployment:{self._context.deployment}", f"spinney-cluster:{found.balancer.cluster_id}")
        says = "" if cluster is None else f"Of cluster {cluster.name}"[:255]
        owner = found.balancer.data["owner"]
        asking = Owner(owner["user"], owner["project"], None)
        return OctaviaBalancer(self._api(), asking, self._context.clock, found.balancer.id, tags, says)

    async def take_away(self, found: Situation) -> None:
        """One step. Raises: OctaviaFailed."""
        made = found.balancer.data.get("octavia")
        try:
            gone = await self.balancer(found).remove((made or {}).get("pool_used"))
        except OctaviaRefused:
            if made is not None:
                raise
            gone = True  # whoever is let do nothing there has made nothing there
        if gone:
            await self._context.store.transact(balancing.remove, found.balancer.id)

    @property
    def margin(self) -> float:
        """Seconds before somebody stops waiting at which a member is taken out."""
        return min(_TO_TAKE_OUT, self._context.balancer.drain_time * _SHARE)

    def _api(self) -> Api:
        if self._context.octavia is None:
            raise OctaviaFailed(
                "the load balancer is Octavia's, and this engine knows none: set octavia_url in [balancer], or [service_user]"
            )
        return self._context.octavia
