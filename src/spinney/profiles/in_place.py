"""Whether a container can get another profile without being made anew: pure.

Only where the profiles differ, and in nothing but what can be changed on the living container (what it may use, whether the
Docker engine restarts it) or what concerns the service alone (how it is pulled, how it is probed). Two profiles that do not
differ make a container anew: that is how an image's tag is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence

from spinney.profiles.base import ProfileProperties
from spinney.profiles.container import CONTAINER, ContainerProperties


def in_place(before: ProfileProperties, after: ProfileProperties) -> bool:
    """Never for what is no container."""
    if not (isinstance(before, ContainerProperties) and isinstance(after, ContainerProperties)):
        return False
    changes = CONTAINER.compare(before, after)
    return bool(changes.in_place) and not changes.recreate


def different(before: ContainerProperties, after: ContainerProperties) -> Sequence[str]:
    """Names of the properties that differ and mean anything, for telling a user."""
    changes = CONTAINER.compare(before, after)
    return sorted(changes.in_place | changes.recreate)
