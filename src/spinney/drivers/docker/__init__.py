"""Docker engines as container hosts, over their HTTP API, with nothing of ours on the host.

Built on aiohttp directly, not on aiodocker, although that is the kept asyncio client for Docker: nearly all of what it
would do for us has to be ours anyway. After its event stream ends, a second subscription waits for ever in silence; its
pool of 100 connections starves calls once streams hold them all, and it sets no time limits; it takes the Docker engine's
newest API version uncapped; and SSH runs a program on the host per connection. What is left is making requests, and
answers of untrusted Docker engines must be bounded and checked on the way. It is no saving of processor time: both cost
about 0.5 ms for create, start and inspect together, nearly all of it in aiohttp.

``connector`` is the way in. ``request``, ``errors``, ``parse``, ``shapes`` and ``endpoints`` are pure; ``client``,
``connections``, ``faults`` and ``streams`` know HTTP; ``host``, ``images`` and ``networks`` know Docker.
"""

from spinney.drivers.docker.client import TimeLimits
from spinney.drivers.docker.connector import DockerConnector
from spinney.drivers.docker.credentials import Credentials, FolderCredentials, RegistryCredential
from spinney.drivers.docker.host import DockerHost

__all__ = ["Credentials", "DockerConnector", "DockerHost", "FolderCredentials", "RegistryCredential", "TimeLimits"]
