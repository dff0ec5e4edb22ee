"""What python-openstackclient asks a plug-in for: a name, a version, a client, and options of its own."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

API_NAME = "clustering"
API_VERSION_OPTION = "os_clustering_api_version"
DEFAULT_API_VERSION = "1"
API_VERSIONS = ("1",)


def make_client(instance: Any) -> Any:
    """openstacksdk's proxy for the service, with the authentication that ``openstack`` was given."""
    return instance.sdk_connection.clustering


def build_option_parser(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument(
        "--os-clustering-api-version",
        metavar="<clustering-api-version>",
        default=os.environ.get("OS_CLUSTERING_API_VERSION", DEFAULT_API_VERSION),
        help="Clustering API version, default=1 (Env: OS_CLUSTERING_API_VERSION)",
    )
    return parser
