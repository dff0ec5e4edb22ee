"""The families that commands belong to: a command says what it is about and which flags it has, its family does the rest."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from osc_lib.command import command
from osc_lib.exceptions import CommandError

from spinney.osc import columns
from spinney.osc.columns import Column, Fields, Row, Table
from spinney.osc.parsing import WAIT, Flag, flag, pairs, pairs_flag, switch, word
from spinney.osc.waiting import wait_for
from spinney.osc.wire import RENAMES, Api

FULL_ID = switch("--full-id", "Print full ids.")


class Base(command.Command):
    """A command with its flags as a table."""

    flags: ClassVar[Sequence[Flag]] = ()

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        for one in self.all_flags():
            one.add_to(parser)
        return parser

    def all_flags(self) -> Iterable[Flag]:
        return self.flags

    @property
    def api(self) -> Api:
        manager: Any = self.app.client_manager  # plug-ins add to it what its class does not declare
        return Api(manager.clustering)

    def say(self, line: str) -> None:
        self.app.stdout.write(line + "\n")


class Plain(Base):
    """A command that prints lines of its own."""


class List(Base, command.Lister):
    """Objects as a table."""

    path: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    #: Keys that may be filtered by, and those that the service calls otherwise.
    filters: ClassVar[Sequence[str]] = ()
    filter_names: ClassVar[Mapping[str, str]] = {}
    sort_keys: ClassVar[Sequence[str]] = ()
    pages = True
    projects = True
    ids = True

    def all_flags(self) -> Iterable[Flag]:
        yield from self.flags
        if self.filters:
            keys = ", ".join(self.filters)
            yield pairs_flag("--filters", f"Only those with these values; keys: {keys}.")
        if self.sort_keys:
            keys = ", ".join(self.sort_keys)
            yield flag("--sort", metavar="<key>[:<direction>]", help=f"Order, as in key:asc,key:desc; keys: {keys}.")
        if self.pages:
            yield flag("--limit", type=int, help="No more than so many.")
            yield flag("--marker", metavar="<id>", help="Only what comes after the object with this id.")
        if self.projects:
            yield switch("--global-project", "Those of all projects, for administrators.")
        if self.ids:
            yield FULL_ID

    def take_action(self, parsed_args: Namespace) -> Table:
        rows = self.rows(self.api, parsed_args, self.query(parsed_args))
        shown = self.chosen_columns(parsed_args)
        return columns.table(shown, rows, not self.ids or parsed_args.full_id)

    def chosen_columns(self, args: Namespace) -> Sequence[Column]:
        every = self.projects and args.global_project
        return (*self.columns, Column("project_id", "project", is_id=True)) if every else self.columns

    def where(self, args: Namespace) -> tuple[str, ...]:
        return (self.path,)

    def rows(self, api: Api, args: Namespace, query: Mapping[str, Any]) -> Iterable[Row]:
        (found,) = api.get(*self.where(args), query=query).values()
        return list(found)

    def query(self, args: Namespace) -> dict[str, Any]:
        asked: dict[str, Any] = {key: getattr(args, key, None) for key in ("limit", "marker", "sort")}
        if self.projects and args.global_project:
            asked["global_project"] = "true"
        for key, value in pairs(getattr(args, "filters", None)).items():
            asked[self.filter_names.get(key, key)] = value
        return asked


class Show(Base, command.ShowOne):
    """One object."""

    #: The first part of its path; the noun is what its argument is called.
    path: ClassVar[str]
    noun: ClassVar[str]
    about: ClassVar[str] = "Name or ID."
    renames: ClassVar[Mapping[str, str]] = RENAMES

    def all_flags(self) -> Iterable[Flag]:
        yield word(self.noun, self.about)
        yield from self.flags

    def take_action(self, parsed_args: Namespace) -> Fields:
        named = getattr(parsed_args, self.noun.replace("-", "_"))
        return self.fields(self.found(self.api, parsed_args, named))

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        """What is to be shown; a command that changes the object does so first."""
        return api.one(self.path, named)

    def fields(self, row: Row) -> Fields:
        return columns.fields(row, self.renames)


class Answer(Base, command.ShowOne):
    """An object that an answer brings, with no word in the path to look it up by."""

    renames: ClassVar[Mapping[str, str]] = RENAMES

    def take_action(self, parsed_args: Namespace) -> Fields:
        return columns.fields(self.answer(self.api, parsed_args), self.renames)

    def answer(self, api: Api, args: Namespace) -> Row:
        raise AssertionError(f"{type(self).__name__} answers nothing")


class Delete(Base):
    """Several objects, one after the other; what fails does not stop the rest."""

    path: ClassVar[str]
    noun: ClassVar[str]

    def all_flags(self) -> Iterable[Flag]:
        yield word(self.noun, f"Names or IDs of each {self.noun}.", nargs="+")
        yield switch("--force", "Do not ask first.")
        yield from self.flags

    def take_action(self, parsed_args: Namespace) -> None:
        if not parsed_args.force and sys.stdin.isatty() and not self._agreed():
            return
        api, words = self.api, getattr(parsed_args, self.noun)
        each(words, lambda named: self.delete(api, parsed_args, named), f"delete {{}} of the {{}} {self.noun}(s)")

    def _agreed(self) -> bool:
        self.app.stdout.write(f"Delete the {self.noun}(s) for good? [y/N] ")
        self.app.stdout.flush()
        return sys.stdin.readline().lower().startswith("y")

    def delete(self, api: Api, args: Namespace, named: str) -> None:
        api.send("DELETE", self.path, named)
        self.say(f"{self.noun.capitalize()} deleted: {named}")


class DeleteLater(Delete):
    """Objects whose deletion is an action."""

    flags = (switch("--force-delete", "Even while something else is being done to it."), WAIT)

    def take_action(self, parsed_args: Namespace) -> None:
        self.started: list[str] = []
        super().take_action(parsed_args)
        if parsed_args.wait:
            api = self.api
            each(self.started, lambda started: void(wait_for(api, started)), f"delete {{}} of the {{}} {self.noun}(s)")

    def delete(self, api: Api, args: Namespace, named: str) -> None:
        body = {"force": True} if args.force_delete else None
        self.started.append(api.start("DELETE", self.path, named, body=body))
        self.say(f"{named}: accepted by action {self.started[-1]}")


def each(words: Sequence[str], do: Callable[[str], None], what: str) -> None:
    """Do it for every word. Raises: CommandError, in the end, when it went wrong for some; each of these is told."""
    failed = 0
    for named in words:
        try:
            do(named)
        except CommandError as error:
            failed += 1
            print(f"{named}: {error}", file=sys.stderr)
    if failed:
        raise CommandError("Failed to " + what.format(failed, len(words)) + ".")


class Start(Base, command.ShowOne):
    """What the service takes as an action: the action's id, or with ``--wait`` the object once it is done."""

    path: ClassVar[str] = "clusters"
    noun: ClassVar[str] = "cluster"
    renames: ClassVar[Mapping[str, str]] = RENAMES
    #: Its name among the actions of the object.
    action: ClassVar[str]

    def all_flags(self) -> Iterable[Flag]:
        yield word(self.noun, "Name or ID.")
        yield from self.flags
        yield switch("--wait", "Wait until it is done, and show the outcome.")

    def params(self, args: Namespace) -> dict[str, Any]:
        return {}

    def start(self, api: Api, args: Namespace, named: str) -> str:
        return api.start("POST", self.path, named, "actions", body={self.action: self.params(args)})

    def take_action(self, parsed_args: Namespace) -> Fields:
        api, named = self.api, getattr(parsed_args, self.noun)
        action_id = self.start(api, parsed_args, named)
        if parsed_args.formatter == "table":
            self.say(f"Request accepted by action: {action_id}")
        if not parsed_args.wait:
            return ("action",), (action_id,)
        wait_for(api, action_id)
        return columns.fields(api.one(self.path, named), self.renames)

    def produce_output(self, parsed_args: Namespace, column_names: Any, data: Any) -> int:
        if parsed_args.formatter == "table" and not parsed_args.wait:
            return 0  # it has been said in a sentence
        return int(super().produce_output(parsed_args, column_names, data) or 0)


class StartEach(Base):
    """The same action for several objects."""

    path: ClassVar[str]
    noun: ClassVar[str]
    action: ClassVar[str]

    def all_flags(self) -> Iterable[Flag]:
        yield word(self.noun, f"Names or IDs of each {self.noun}.", nargs="+")
        yield from self.flags
        yield switch("--wait", "Wait until it is done.")

    def params(self, args: Namespace) -> dict[str, Any]:
        return {}

    def take_action(self, parsed_args: Namespace) -> None:
        api, body = self.api, {self.action: self.params(parsed_args)}
        started: list[str] = []

        def start(named: str) -> None:
            action_id = api.start("POST", self.path, named, "actions", body=body)
            started.append(action_id)
            title = f"{self.noun.capitalize()} {self.action}"
            self.say(f"{title} request on {self.noun} {named} is accepted by action {action_id}.")

        what = f"{self.action} {{}} of the {{}} {self.noun}(s)"
        try:
            each(getattr(parsed_args, self.noun), start, what)
        finally:
            if parsed_args.wait:
                each(started, lambda action_id: void(wait_for(api, action_id)), what)


def void(_: object) -> None:
    """For what is done and not answered."""
