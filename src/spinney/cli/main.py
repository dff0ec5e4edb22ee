"""The ``spinney`` command: every command's name, and where it is found when it is used."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from spinney.cli.lazy import Entry, LazyGroup

_OBJECTS, _LOOK, _RUN = "Clusters and what they are made of", "Looking at it", "Running the service"
_CLI = "spinney.cli."


class SpinneyGroup(LazyGroup):
    entries: ClassVar[Mapping[str, Entry]] = {
        "deploy": Entry(_CLI + "deploy.command", "deploy", "Clusters as a Compose file asks for them.", _OBJECTS),
        "cluster": Entry(_CLI + "cluster", "app", "Sets of containers or hosts, kept at the size you want.", _OBJECTS),
        "node": Entry(_CLI + "node", "app", "Single members: one container or one host each.", _OBJECTS),
        "profile": Entry(_CLI + "profile", "app", "What nodes are made from.", _OBJECTS),
        "policy": Entry(_CLI + "policy", "app", "Rules to attach to clusters.", _OBJECTS),
        "job": Entry(_CLI + "job", "app", "Clusters whose members do a job and end.", _OBJECTS),
        "receiver": Entry(_CLI + "receiver", "app", "What starts actions from outside.", _OBJECTS),
        "balancer": Entry(_CLI + "balancer", "app", "Load balancers of clusters.", _OBJECTS),
        "host": Entry(_CLI + "host", "app", "Machines with a Docker engine, on which containers are placed.", _OBJECTS),
        "quota": Entry(_CLI + "quota", "app", "What projects may have at most.", _OBJECTS),
        "image-rule": Entry(_CLI + "image_rule", "app", "Which images projects may use.", _OBJECTS),
        "grant": Entry(_CLI + "grant", "app", "Extra rights that the operator gives.", _OBJECTS),
        "credential": Entry(_CLI + "credential", "app", "What hosts and registries are approached with.", _OBJECTS),
        "secret": Entry(_CLI + "secret", "app", "What containers and registries are to know.", _OBJECTS),
        "action": Entry(_CLI + "action", "app", "Work under way and work done.", _LOOK),
        "event": Entry(_CLI + "event", "app", "What happened.", _LOOK),
        "plan": Entry(_CLI + "plan", "app", "What an action would do, without doing it.", _LOOK),
        "autoscale": Entry(
            _CLI + "autoscale", "app", "Why clusters grow and shrink with their load, or do not.", _LOOK
        ),
        "why": Entry(_CLI + "why", "why", "Why a node is where it is, or why it waits.", _LOOK),
        "logs": Entry(_CLI + "logs", "logs", "What a node, or every node of a cluster, prints.", _LOOK),
        "exec": Entry(_CLI + "exec", "command", "Run a command in a node's container.", _LOOK),
        "stats": Entry(_CLI + "stats", "stats", "CPU, memory and traffic of a node or a cluster.", _LOOK),
        "wait": Entry(_CLI + "wait", "wait", "Wait until a cluster has a status.", _LOOK),
        "service": Entry(_CLI + "service", "app", "The processes that make up the service.", _LOOK),
        "build-info": Entry(_CLI + "service", "build_info", "Which build of the service answers.", _LOOK),
        "standalone": Entry(_CLI + "server", "standalone", "Run the whole service in one process.", _RUN),
        "api": Entry(_CLI + "server", "api", "Run one API process.", _RUN),
        "engine": Entry(_CLI + "server", "engine", "Run one engine process.", _RUN),
        "db": Entry(_CLI + "server", "db", "Prepare and upgrade the database.", _RUN),
        "keys": Entry(_CLI + "keys", "app", "The keys that secrets are sealed with.", _RUN),
        "simulate-hosts": Entry(_CLI + "simulate", "simulate_hosts", "Run simulated Docker engines to try with.", _RUN),
    }


app = typer.Typer(
    cls=SpinneyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"spinney {version('spinney')}")
        raise typer.Exit


@app.callback()
def root(
    os_cloud: Annotated[
        str | None,
        typer.Option("--os-cloud", metavar="NAME", help="Cloud of clouds.yaml; may also follow the command."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Clusters of Docker containers on clusters of hosts.

    Talks to the service on this machine (start one with: spinney standalone), or to any OpenStack cloud that has one.
    """


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the character shows another one
    app(prog_name="spinney")


if __name__ == "__main__":
    main()
