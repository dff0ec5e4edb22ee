"""Deciding by rules: those delivered (``access``) under those of the deployment's policy file, in oslo.policy's language.

Guaranteed: a name that the file misspells, a check that cannot be read or that would ask another server are refused when the
service starts; when such a file appears while it runs, that is logged and the rules before stay in force. A changed file is
read within ``_LOOK`` seconds. A decision depends on nothing but the caller, so it is remembered until the rules change.
Not guaranteed: that a rule sees the object of the request. Whose it is has been decided elsewhere, for every rule alike;
``%(project_id)s`` and ``%(user_id)s`` in a check are the caller's own.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from oslo_config import cfg
from oslo_policy import opts, policy

from spinney.api import access
from spinney.clock import Clock, SystemClock
from spinney.config import libraries
from spinney.domain.identity import Caller, Owner
from spinney.errors import Forbidden

#: Seconds between looks whether a file has changed.
_LOOK = 1.0
_MOST_DECISIONS = 10_000
_ASKS_OTHERS = re.compile(r"\bhttps?:")

#: Each persona, made of the one before it.
PERSONAS: Mapping[str, tuple[str, str]] = {
    access.IS_ADMIN: ("role:admin", "Operates the service"),
    "project_manager": ("rule:context_is_admin or role:manager", "Decides on behalf of a project"),
    "project_member": ("rule:project_manager or role:member", "Works with what a project has"),
    "project_reader": ("rule:project_member or role:reader", "Looks at what a project has"),
    "service_or_admin": (
        "rule:context_is_admin or role:service",
        "Another service of the cloud, or who operates this one",
    ),
    "reader_or_service": ("rule:project_reader or role:service", "Looks at what the service can do"),
}
_CHECKS = {
    access.ADMIN: f"rule:{access.IS_ADMIN}",
    access.MANAGER: "rule:project_manager",
    access.MEMBER: "rule:project_member",
    access.READER: "rule:project_reader",
    access.SERVICE: "rule:service_or_admin",
    access.ABOUT: "rule:reader_or_service",
    access.NOBODY: "!",
    access.EVERYBODY: "@",
}
#: Every rule as it is delivered.
DELIVERED: Mapping[str, str] = {
    **{rule: _CHECKS[roles] for rule, roles in access.RULES.items()},
    **{name: check for name, (check, _) in PERSONAS.items()},
}

log = logging.getLogger(__name__)


class AccessRules:
    """What callers may do. ``files``: the deployment's own rules, of two the later one counts. Raises: ValueError."""

    def __init__(self, files: Sequence[Path] = (), clock: Clock | None = None) -> None:
        self._files = files
        self._clock = clock or SystemClock()
        self._looked = self._clock.monotonic()
        self._seen = _marks(files)
        self._use(_read(files))

    def _use(self, own: Mapping[str, str]) -> None:
        self._own = own
        self._enforcer = _enforcer({**DELIVERED, **own})
        self._decisions: dict[tuple[str, frozenset[str], Owner], bool] = {}

    def allows(self, caller: Caller, rule: str) -> bool:
        if self._files and self._clock.monotonic() - self._looked >= _LOOK:
            self._look()
        key = (rule, caller.roles, caller.owner)
        known = self._decisions.get(key)
        if known is None:
            known = self._decide(caller, rule)
            if len(self._decisions) >= _MOST_DECISIONS:
                self._decisions.clear()
            self._decisions[key] = known
        return known

    def require(self, caller: Caller, rule: str) -> None:
        """Raises: Forbidden."""
        if not self.allows(caller, rule):
            raise Forbidden(f"{rule} is not allowed: {self._needed(rule)}, and the caller has {_listed(caller.roles)}.")

    def admit(self, caller: Caller) -> Caller:
        """The caller, with the say of the rules on whether it is an admin."""
        return replace(caller, is_admin=True) if self.allows(caller, access.IS_ADMIN) else caller

    def _decide(self, caller: Caller, rule: str) -> bool:
        own = {"user_id": caller.owner.user, "project_id": caller.owner.project}
        domain = {"domain_id": caller.owner.domain, "project_domain_id": caller.owner.domain}
        return bool(self._enforcer.enforce(rule, dict(own), {**own, **domain, "roles": sorted(caller.roles)}))

    def _needed(self, rule: str) -> str:
        """What an operator wrote stays with operators."""
        if not self._own.keys().isdisjoint({rule, *PERSONAS}):
            return f"this deployment has a rule of its own for it, which its operator can explain under the name {rule}"
        roles = access.RULES.get(rule, access.NOBODY)
        if not roles:
            return "nobody may do it"
        return f"{'the role' if len(roles) == 1 else 'one of the roles'} {_listed(roles)} is needed"

    def _look(self) -> None:
        self._looked = self._clock.monotonic()
        seen = _marks(self._files)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._use(_read(self._files))
        except ValueError as error:
            log.error("the rules before stay in force: %s", error)
        else:
            log.warning("rules were read again from %s", ", ".join(map(str, self._files)))


def policy_files(config_files: Sequence[Path]) -> tuple[Path, ...]:
    """Where the section [oslo_policy] says that rules are. Raises: ValueError."""
    conf = libraries(config_files)
    for group, found in opts.list_opts():
        conf.register_opts(found, group=group)
    given = conf.oslo_policy
    file = _beside(config_files, given.policy_file)
    if not file.is_file():
        where = conf.get_location("policy_file", "oslo_policy")
        if where is not None and where.location is not cfg.Locations.opt_default:
            raise ValueError(f"[oslo_policy] policy_file: {file} does not exist; make it, or leave the option out")
        return ()
    folders = [_beside(config_files, name) for name in given.policy_dirs]
    return (file, *(found for folder in folders for found in sorted(folder.glob("*.yaml"))))


def _beside(config_files: Sequence[Path], name: str) -> Path:
    places = [config.absolute().parent / name for config in config_files] or [Path(name)]
    return next((place for place in places if place.exists()), places[0])


def _marks(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    """What differs when a file is another one."""
    return [_mark(file) for file in files]


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(files: Sequence[Path]) -> dict[str, str]:
    """Raises: ValueError."""
    found: dict[str, str] = {}
    for file in files:
        found |= _read_one(file)
    used = " ".join(found.values())
    for name in found:
        if name not in DELIVERED and f"rule:{name}" not in used:
            close = difflib.get_close_matches(name, DELIVERED, n=1)
            hint = f"did you mean {close[0]}?" if close else "spinney policy sample prints those there are"
            raise ValueError(f"{', '.join(map(str, files))}: there is no rule {name}, and none uses it; {hint}")
    try:
        _enforcer({**DELIVERED, **found}).check_rules(raise_on_violation=True)
    except policy.InvalidDefinitionError as error:
        raise ValueError(
            f"{', '.join(map(str, files))}: rules that name missing rules, or themselves: {error}"
        ) from error
    return found


def _read_one(file: Path) -> dict[str, str]:
    try:
        found: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read as YAML: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"{file} holds no map of rules; write one `name: check` in a line")
    for name, check in found.items():
        _check_readable(f"{file}: {name}", check)
    return found


def _check_readable(where: str, check: Any) -> None:
    if not isinstance(check, str):
        raise ValueError(f"{where}: {check!r} is no check; write it as a text, such as 'role:member'")
    if _ASKS_OTHERS.search(check):
        raise ValueError(f"{where}: '{check}' would ask another server for each decision, which is not done; use roles")
    if check.strip() != "!" and str(policy.RuleDefault("given", check).check) == "!":
        raise ValueError(f"{where}: '{check}' is no check; write it as in 'role:member or rule:{access.IS_ADMIN}'")


def _enforcer(checks: Mapping[str, str]) -> policy.Enforcer:
    rules = policy.Rules.from_dict(dict(checks))
    return policy.Enforcer(cfg.ConfigOpts(), use_conf=False, rules=rules)


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words)) or "none"
