"""Finding the service: a named cloud, the OS_* environment, or the standalone service of this machine.

In this order: ``--os-cloud``; ``OS_CLOUD``; the OS_* environment or ``OS_CLIENT_CONFIG_FILE``; the ``clouds.yaml`` which
``spinney standalone`` leaves in its state directory. Everything is understood as openstacksdk understands it, and by
openstacksdk itself, except the plain case of an ``http://`` address with authentication ``none`` or ``http_basic`` and no other
setting: reading that here saves the half second it takes to load openstacksdk. Whatever has a key not listed below goes
the long way.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinney.cli.faults import CliError
from spinney.cli.transport import LightTransport, Service, SessionTransport, Transport, no_answer
from spinney.cli.yaml_file import problem

LOCAL_CLOUD = "spinney"
SERVICE_TYPE = "clustering"
_GIVEN_BY_ENVIRONMENT = (
    "OS_AUTH_TYPE", "OS_AUTH_URL", "OS_ENDPOINT", "OS_TOKEN", "OS_USERNAME",
    "OS_CLUSTERING_ENDPOINT_OVERRIDE", "OS_CLIENT_CONFIG_FILE",
)  # fmt: skip
_LIGHT_KEYS = {
    "auth", "auth_type", "clustering_endpoint_override", "clustering_default_microversion", "clustering_api_version",
}  # fmt: skip
_LIGHT_AUTH = {"endpoint", "username", "password"}


def state_dir(environ: Mapping[str, str]) -> Path:
    """Where the standalone service of this user keeps its state."""
    if given := environ.get("SPINNEY_STATE_DIR"):
        return Path(given)
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(home) / "spinney"


def connect(cloud: str | None, environ: Mapping[str, str] = os.environ) -> Service:
    """The service the user means. Nothing is sent yet, except what authentication through Keystone needs."""
    name = cloud or environ.get("OS_CLOUD") or None
    if name is None and not any(environ.get(key) for key in _GIVEN_BY_ENVIRONMENT):
        return Service(_local(environ))
    if name == LOCAL_CLOUD and _clouds_file(environ).is_file() and not _defined_elsewhere(name, environ):
        return Service(_local(environ))
    settings = _from_file(name, environ) if environ.get("OS_CLIENT_CONFIG_FILE") else None
    if settings is None and name is None:
        settings = _from_environment(environ)
    return Service(light(settings) or _through_sdk(name))


def _clouds_file(environ: Mapping[str, str]) -> Path:
    return state_dir(environ) / "clouds.yaml"


def _defined_elsewhere(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a file that openstacksdk reads has this cloud. Where there is no such file it need not be loaded."""
    config = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config")
    places = (Path.cwd(), config / "openstack", Path("/etc/xdg/openstack"), Path("/etc/openstack"))
    files = [place / f"clouds.{suffix}" for place in places for suffix in ("yaml", "yml", "json")]
    if not environ.get("OS_CLIENT_CONFIG_FILE") and not any(file.is_file() for file in files):
        return False
    from openstack import config as sdk

    return name in sdk.OpenStackConfig().get_cloud_names()


def _local(environ: Mapping[str, str]) -> Transport:
    path = _clouds_file(environ)
    if not path.is_file():
        raise CliError(
            f"no Spinney service is known here ({path} does not exist): start one with `spinney standalone` "
            "or name a cloud with --os-cloud"
        )
    settings = _read_clouds(path).get(LOCAL_CLOUD)
    if not isinstance(settings, dict):
        raise CliError(
            f"{path} holds no cloud named {LOCAL_CLOUD!r}: start `spinney standalone` once to write it again"
        )
    return light(settings) or _through_sdk(LOCAL_CLOUD, [str(path)])


def _read_clouds(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path} is not valid YAML: {problem(error)[1]}") from error
    clouds = content.get("clouds") if isinstance(content, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def _from_file(name: str | None, environ: Mapping[str, str]) -> Mapping[str, Any] | None:
    path = Path(environ["OS_CLIENT_CONFIG_FILE"])
    if not path.is_file() or environ.get("OS_CLIENT_SECURE_FILE"):
        return None
    clouds = _read_clouds(path)
    if name is None and len(clouds) == 1 and not any(environ.get(key) for key in _GIVEN_BY_ENVIRONMENT[:-1]):
        name = next(iter(clouds))
    found = clouds.get(name) if name else None
    return found if isinstance(found, dict) else None


def _from_environment(environ: Mapping[str, str]) -> Mapping[str, Any]:
    auth = {key: environ[f"OS_{key.upper()}"] for key in sorted(_LIGHT_AUTH) if environ.get(f"OS_{key.upper()}")}
    settings: dict[str, Any] = {"auth_type": environ.get("OS_AUTH_TYPE"), "auth": auth}
    if override := environ.get("OS_CLUSTERING_ENDPOINT_OVERRIDE"):
        settings["clustering_endpoint_override"] = override
    return settings


def light(settings: Mapping[str, Any] | None) -> LightTransport | None:
    """A transport without openstacksdk, or None when anything is asked that it would have to interpret."""
    if settings is None or not _LIGHT_KEYS.issuperset(settings):
        return None
    auth = settings.get("auth") or {}
    if not isinstance(auth, dict) or not _LIGHT_AUTH.issuperset(auth):
        return None
    endpoint = settings.get("clustering_endpoint_override") or auth.get("endpoint")
    if not isinstance(endpoint, str) or not endpoint.lower().startswith("http://"):
        return None
    if settings.get("auth_type") == "none":
        return LightTransport(versioned(endpoint), {"X-Auth-Token": "notused"})
    if settings.get("auth_type") == "http_basic" and "username" in auth and "password" in auth:
        pair = f"{auth['username']}:{auth['password']}".encode()
        return LightTransport(versioned(endpoint), {"Authorization": "Basic " + base64.b64encode(pair).decode()})
    return None


def versioned(endpoint: str) -> str:
    """The address with ``/v1``: catalogues hold the root, files of ``http_basic`` clouds the versioned one."""
    bare = endpoint.rstrip("/")
    return bare if bare.endswith("/v1") else bare + "/v1"


def _through_sdk(name: str | None, files: list[str] | None = None) -> SessionTransport:
    from keystoneauth1 import adapter, exceptions
    from openstack import config
    from openstack import exceptions as sdk_exceptions

    try:
        region = config.OpenStackConfig(config_files=files, app_name="spinney").get_one(cloud=name)
        session = region.get_session()
        interface = region.get_interface(SERVICE_TYPE)
        region_name = region.get_region_name(SERVICE_TYPE)
        endpoint = region.get_endpoint(SERVICE_TYPE) or session.get_endpoint(
            service_type=SERVICE_TYPE, interface=interface, region_name=region_name
        )
    except sdk_exceptions.ConfigException as error:
        raise CliError(str(error)) from error
    except exceptions.ConnectFailure as error:
        raise no_answer("the identity service", str(error)) from error
    except (exceptions.ClientException, sdk_exceptions.SDKException) as error:
        raise CliError(f"cannot sign in to the cloud {name or 'of the OS_* environment'}: {error}") from error
    if not endpoint:
        raise CliError(
            f"the cloud {name or 'of the OS_* environment'} lists no service of type {SERVICE_TYPE!r}"
            f"{f' in region {region_name}' if region_name else ''}: ask its operator, or set clustering_endpoint_override"
        )
    base = versioned(str(endpoint))
    return SessionTransport(base, adapter.Adapter(session, service_type=SERVICE_TYPE, endpoint_override=base))
