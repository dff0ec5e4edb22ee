"""``x-spinney-…``: what Compose has no words for."""

from __future__ import annotations

from spinney.cli.compose import values
from spinney.cli.compose.keys import Key, Reading, listed, straight, whole_part
from spinney.cli.compose.places import Part, Table


def _policies(part: Part, reading: Reading) -> None:
    """Names of policies that there are, or whole specifications."""
    for one in values.items(part):
        if isinstance(one, Table):
            reading.draft.put_part(("policies", reading.inline), one)
            reading.inline += 1
        else:
            reading.policies.append((values.text(one), one.at))


EXTENSIONS = {
    "x-spinney-host-cluster": Key(
        straight(("profile", "host_cluster"), values.text),
        "`host_cluster`",
        "Where the containers run. Also at the top of the file, for all services; or `--host-cluster`.",
    ),
    "x-spinney-host-node": Key(
        straight(("profile", "host_node"), values.text), "`host_node`", "The one host to run on."
    ),
    "x-spinney-policies": Key(
        _policies,
        "policies of the cluster",
        "A list: names or ids of policies that there are, or maps with `type`, `version` and `properties`.",
    ),
    "x-spinney-probes": Key(whole_part("profile", "probes"), "`probes`"),
    "x-spinney-grants": Key(listed("profile", "grants"), "`grants`"),
    "x-spinney-registry-credential": Key(
        straight(("profile", "registry_credential"), values.text), "`registry_credential`"
    ),
    "x-spinney-config": Key(whole_part("cluster", "config"), "the cluster's `config`"),
    "x-spinney-min-size": Key(straight(("cluster", "min_size"), values.whole), "the cluster's least size"),
    "x-spinney-max-size": Key(
        straight(("cluster", "max_size"), values.whole), "the cluster's greatest size", "-1: none."
    ),
}
