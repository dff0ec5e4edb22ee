"""Several users with passwords, by HTTP basic authentication, from an htpasswd file.

Passwords are in the htpasswd file (bcrypt alone), projects and roles in a second file::

    alice: {project: shop, roles: [manager]}

Who is in the first and not in the second is a member of the project ``default``. A role brings those below it, as in Keystone.

Guaranteed: files that cannot be read are refused at the start with the line; when such files appear while the service runs,
that is logged, and the users before stay. A change counts for the next request. An unknown user takes as long to refuse as
a wrong password. Passwords are compared in threads, not more than ``_AT_A_TIME`` at a time, and a right one is remembered
(as a keyed hash) until a file changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import bcrypt
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from spinney.api.auth.base import Request
from spinney.api.auth.basic import CHALLENGE, given_by, refused
from spinney.domain.identity import Caller, Owner

_AT_A_TIME = 2
_MOST_REMEMBERED = 10_000
#: What bcrypt looks at; the programs that make such files cut off there too.
_LONGEST_PASSWORD = 72
_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
#: Each role of the community's with those that it brings.
_LADDER = ("admin", "manager", "member", "reader")
#: Of nobody's password: compared where there is no user, so that it takes as long.
_NOBODYS = "." * 53

log = logging.getLogger(__name__)

Word = Annotated[str, Field(min_length=1, max_length=64)]
Mark = tuple[int, int, int]


class Person(BaseModel):
    """What the second file says of a user."""

    model_config = ConfigDict(extra="forbid", strict=True)

    project: Word = "default"
    roles: list[Word] = ["member"]


_PEOPLE = TypeAdapter(dict[Word, Person])


@dataclass(frozen=True, slots=True)
class Users:
    callers: Mapping[str, Caller]
    hashes: Mapping[str, bytes]
    nobodys: bytes


class Htpasswd:
    """``people``: the second file, if there is one. Raises: ValueError."""

    def __init__(self, passwords: Path, people: Path | None = None) -> None:
        self._files = (passwords,) if people is None else (passwords, people)
        self._marks = self._look()
        self._users = _read(*self._files)
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, Caller] = {}
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="bcrypt")

    @property
    def challenge(self) -> str:
        return CHALLENGE

    async def authenticate(self, request: Request) -> Caller:
        self._refresh()
        given = given_by(request.headers)
        key = hashlib.blake2b(given, key=self._key).digest()
        caller = self._remembered.get(key)
        if caller is not None:
            return caller
        name, _, password = given.decode("utf-8", "surrogateescape").partition(":")
        users = self._users
        expected = users.hashes.get(name, users.nobodys)
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, _matches, password, expected)
        caller = users.callers.get(name)
        if not right or caller is None:
            raise refused()
        if users is self._users:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = caller
        return caller

    def _refresh(self) -> None:
        marks = self._look()
        if marks == self._marks:
            return
        self._marks = marks
        try:
            self._users = _read(*self._files)
        except ValueError as error:
            log.error("the users before stay: %s", error)
        else:
            self._remembered.clear()
            log.warning("users were read again from %s", ", ".join(map(str, self._files)))

    def _look(self) -> list[Mark | None]:
        return [_mark(file) for file in self._files]


def _mark(file: Path) -> Mark | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _matches(password: str, expected: bytes) -> bool:
    try:
        return bcrypt.checkpw(password.encode("utf-8", "surrogateescape")[:_LONGEST_PASSWORD], expected)
    except ValueError:  # a password that bcrypt cannot take is nobody's
        return False


def _read(passwords: Path, people: Path | None = None) -> Users:
    """Raises: ValueError."""
    hashes = _read_hashes(passwords)
    persons = {} if people is None else _read_people(people)
    for name in persons:
        if name not in hashes:
            raise ValueError(f"{people}: {name} has no password in {passwords}; add one, or take the entry out")
    callers = {name: _caller(name, persons.get(name, Person())) for name in hashes}
    cost = max((int(found[4:6]) for found in hashes.values()), default=10)
    return Users(callers, hashes, f"$2b${cost:02}${_NOBODYS}".encode())


def _caller(name: str, person: Person) -> Caller:
    owner = Owner(user=name, project=person.project)
    return Caller(owner, _with_implied(person.roles), user_name=name, project_name=person.project)


def _with_implied(roles: Sequence[str]) -> frozenset[str]:
    highest = min((_LADDER.index(role) for role in roles if role in _LADDER), default=len(_LADDER))
    return frozenset(roles).union(_LADDER[highest:])


def _read_hashes(file: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for number, line in enumerate(_text(file).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, _, written = line.partition(":")
        if not name or len(name) > 64 or not _HASH.fullmatch(written):
            raise ValueError(f"{file}, line {number}: no user with a bcrypt hash; make it with htpasswd -B")
        if name in found:
            raise ValueError(f"{file}, line {number}: {name} is in it twice; take one out")
        found[name] = written.encode()
    return found


def _read_people(file: Path) -> dict[str, Person]:
    try:
        content: Any = yaml.safe_load(_text(file))
        return _PEOPLE.validate_python(content if content is not None else {})
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise ValueError(
            f"{file}: {where}: {first['msg']}; write `name: {{project: shop, roles: [member]}}` for each user"
        ) from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
