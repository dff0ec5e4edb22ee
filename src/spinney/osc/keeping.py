"""What is kept for containers and hosts: ``openstack cluster credential …``, ``secret …`` and ``quota …``.

What credentials and secrets hold is never shown, and is best given by file: other people of this machine can read the words
of a command.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any, ClassVar

from spinney.osc.columns import Column, Row
from spinney.osc.families import Answer, Base, Delete, List, Show
from spinney.osc.parsing import flag, given, listed, mapping, size, text_file, word
from spinney.osc.wire import Api

_DATA = (
    flag("--data", metavar="<key=value>", action="append", help="Something it holds; may be given several times."),
    flag(
        "--data-file",
        metavar="<key=file>",
        action="append",
        help="The same from a file; - is standard input. May be given several times.",
    ),
    flag("--data-list", metavar="<key=a,b>", action="append", help="The same as a list, as in projects=a,b."),
)
_TYPED = (Column("id", is_id=True), Column("name"), Column("type"), Column("created_at"), Column("updated_at"))
_FILTERS = ("name", "type")
_SORTS = ("name", "type", "created_at", "updated_at")


def data(args: Namespace) -> dict[str, Any] | None:
    """What the flags say that it holds; None, when they say nothing."""
    files = {key: read(str(name)) for key, name in mapping(args.data_file or ()).items()}
    lists = {key: listed(str(words)) for key, words in mapping(args.data_list or ()).items()}
    return {**mapping(args.data or ()), **files, **lists} or None


def read(name: str) -> str:
    return sys.stdin.read() if name == "-" else text_file(name, "--data-file")


class _Create(Show):
    kind: ClassVar[str]
    about = "Its name."

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = {"name": named, "type": args.type, **given(data=data(args), reference=getattr(args, "reference", None))}
        return api.change("POST", self.path, body={self.kind: body})


class _Update(Show):
    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(data=data(args), reference=getattr(args, "reference", None))
        return api.change("PATCH", self.path, named, body={self.noun: body})


class ListCredentials(List):
    """List what hosts and registries are approached with."""

    path, columns, filters, sort_keys, projects = "credentials", _TYPED, _FILTERS, _SORTS, False


class ShowCredential(Show):
    """Show a credential, without what it holds."""

    path, noun = "credentials", "credential"


class CreateCredential(_Create):
    """Keep material to approach hosts or registries with."""

    path, kind, noun = "credentials", "credential", "name"
    flags = (flag("--type", required=True, help="docker-tls, docker-ssh or registry."), *_DATA)


class UpdateCredential(_Update):
    """Replace what a credential holds."""

    path, noun, flags = "credentials", "credential", _DATA


class DeleteCredentials(Delete):
    """Forget credentials."""

    path, noun = "credentials", "credential"


class ListSecrets(List):
    """List the secrets of the project."""

    path, columns, filters, sort_keys, projects = "secrets", _TYPED, _FILTERS, _SORTS, False


class ShowSecret(Show):
    """Show a secret, without what it holds."""

    path, noun = "secrets", "secret"


_REFERENCE = flag("--reference", metavar="<url>", help="Where Barbican keeps it, instead of data.")


class CreateSecret(_Create):
    """Keep a secret for containers, registries or hooks."""

    path, kind, noun = "secrets", "secret", "name"
    flags = (
        flag("--type", default="opaque", help="opaque, registry or another that the service knows."),
        *_DATA,
        _REFERENCE,
    )


class UpdateSecret(_Update):
    """Replace what a secret holds."""

    path, noun, flags = "secrets", "secret", (*_DATA, _REFERENCE)


class DeleteSecrets(Delete):
    """Forget secrets."""

    path, noun = "secrets", "secret"


_PROJECT = word("project", "ID of the project.")


class ShowQuota(Answer):
    """Show what a project may have at most, and what it has."""

    flags = (word("project", "ID of the project. Default: your own.", nargs="?", default="-"),)

    def answer(self, api: Api, args: Namespace) -> Row:
        return api.one("quotas", args.project)


class SetQuota(Answer):
    """Set what a project may have at most; -1 is no limit."""

    counts = ("clusters", "nodes", "receivers", "secrets", "volumes")
    flags = (
        _PROJECT,
        *(flag(f"--{name}", type=int, help=f"Most {name}.") for name in counts),
        flag("--cpu", type=float, help="Most CPU cores."),
        flag("--memory", help="Most memory, in bytes or as in 64g."),
    )

    def answer(self, api: Api, args: Namespace) -> Row:
        body = given(cpu=args.cpu, memory=size(args.memory), **{name: getattr(args, name) for name in self.counts})
        return api.change("PUT", "quotas", args.project, body={"quota": body})


class UnsetQuota(Base):
    """Give a project the limits of the deployment again."""

    flags = (_PROJECT,)

    def take_action(self, parsed_args: Namespace) -> None:
        self.api.send("DELETE", "quotas", parsed_args.project)
        self.say(f"Quota removed: {parsed_args.project}")
