"""Container requests, of which nodes of one profile differ in name, labels and network alone, and members of runs in what they
are told about their place in them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from spinney.config import NetworkSettings
from spinney.domain import runs
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_PROJECT, ContainerRequest, NetworkRequest
from spinney.domain.grant import Grants
from spinney.domain.subnets import network_name, subnet
from spinney.engine.jobs import Job
from spinney.profiles.container_request import (
    ContainerDefaults,
    NodeIdentity,
    container_name,
    container_request,
    for_node,
)

_KEPT = 1024


class Templates:
    def __init__(self, deployment: str, defaults: ContainerDefaults, network: NetworkSettings, grants: Grants) -> None:
        self._deployment = deployment
        self._defaults = defaults
        self._network = network
        self._grants = grants
        self._known: OrderedDict[tuple[str, str, bool], ContainerRequest] = OrderedDict()

    def request(self, job: Job, subnet_index: int | None) -> ContainerRequest:
        """``subnet_index``: of the project's bridge on the host; None for a container without a network."""
        network = self._project_network(job, subnet_index)
        properties = job.container_profile.properties
        key = (job.node.profile_id, job.node.project, network is not None)
        template = self._known.get(key)
        if template is None:
            template = container_request(
                properties,
                node=identity(job),
                deployment=self._deployment,
                network=network,
                defaults=self._defaults,
                grants=self._grants,
            )
            self._known[key] = template
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        request = for_node(template, properties, node=identity(job), deployment=self._deployment, network=network)
        own = runs.environment(job.node.data)
        return replace(request, environment={**request.environment, **own}) if own else request

    def name(self, job: Job) -> str:
        """The name of the container of the node's present generation."""
        return container_name(job.container_profile.properties, identity(job))

    def _project_network(self, job: Job, subnet_index: int | None) -> NetworkRequest | None:
        if subnet_index is None:
            return None
        return NetworkRequest(
            name=network_name(self._deployment, job.node.project),
            subnet=subnet(self._network, subnet_index),
            labels={LABEL_DEPLOYMENT: self._deployment, LABEL_PROJECT: job.node.project},
        )


def identity(job: Job) -> NodeIdentity:
    node = job.node
    return NodeIdentity(node.id, node.name, node.cluster_id, node.project, node.generation)
