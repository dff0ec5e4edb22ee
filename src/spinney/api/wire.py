"""What a request is once it has been let in, and what an answer is before it is sent.

``Route`` is one row of the route table, ``Call`` one request that matched it, ``Reply`` and ``Stream`` the two kinds of answer.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection

from spinney.api.answers.base import Shape
from spinney.api.auth import Authenticator
from spinney.api.delegating import Delegation
from spinney.api.rules import AccessRules
from spinney.api.versions import Versions
from spinney.clock import Clock, Ids
from spinney.config import ApiSettings, LimitSettings, WebhookSettings
from spinney.domain.credential import CredentialType
from spinney.domain.identity import Caller, Owner
from spinney.domain.plan import Plan, Question
from spinney.domain.schema import SpecModel
from spinney.drivers.base import HostAccess
from spinney.keyring import KeyRing
from spinney.profiles.allowances import Allowances
from spinney.store.database import Transactions
from spinney.store.identity import Scope
from spinney.store.limits import Limits, OwnLimits

M = TypeVar("M", bound=SpecModel)


def _no_bell() -> None:
    """Nobody has to be woken."""


def _draw() -> str:
    return secrets.token_urlsafe(32)


NO_LIMITS = LimitSettings(rate=0, shared_rate=0, concurrent=0, queue=0, streams=0, failed_authentications=0)

#: What an action would do, at that moment; it reads and changes nothing. Raises: BadRequest.
Planner = Callable[[Connection, Question, float], Plan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """What the API works with. ``ring`` is called after each commit that queued work."""

    store: Transactions
    clock: Clock
    ids: Ids
    settings: ApiSettings
    authenticator: Authenticator
    access: HostAccess
    planner: Planner
    #: Seals what API processes have to read again themselves.
    keys: KeyRing
    #: What callers may do.
    rules: AccessRules = field(default_factory=AccessRules)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    #: By type, the credential of endpoints that name none.
    default_credentials: Mapping[CredentialType, str] = field(default_factory=dict)
    #: Where the limits of projects come from.
    limits: Limits = field(default_factory=OwnLimits)
    #: What the deployment allows its tenants.
    allowed: Allowances = field(default_factory=Allowances)
    #: Whether engines can fetch secrets that are kept elsewhere.
    references: bool = False
    #: Has callers let the service act for them later; None: nobody is asked to.
    delegation: Delegation | None = None
    #: Whose load balancers clusters have: haproxy, octavia, or auto.
    balancer_kind: str = "haproxy"
    #: What one project may ask of this process at a time.
    pace: LimitSettings = NO_LIMITS
    #: Draws what nobody may guess, and what a repetition with the same Idempotency-Key has to be shown again.
    secret: Callable[[], str] = _draw
    ring: Callable[[], None] = _no_bell
    revision: str = "1.0"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose end is not known when it begins. Closing ``content`` releases what it reads from."""

    content: AsyncIterator[bytes]
    media_type: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a request must carry. ``envelope``: the key under which it is. Without ``model`` any JSON object will do.

    ``choices``: it has exactly one of these keys, with such a map behind it; None: with any map. ``example`` is the whole body.
    """

    model: type[SpecModel] | None = None
    envelope: str | None = None
    required: bool = True
    choices: Mapping[Any, type[SpecModel] | None] | None = None
    #: What goes well where a host cluster ``metal``, a profile ``web``, a cluster ``site`` of it and a policy ``spread`` are.
    example: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a list: the column it looks at, and how its text is read (raises ValueError with what is allowed)."""

    column: str
    read: Callable[[str], Any] = str
    #: The least minor version; below it the filter is passed over.
    since: int = 0


@dataclass(frozen=True, slots=True)
class ListSpec:
    """What a list can be asked; ``plain`` lists know filters and sort keys but no pages and no global_project."""

    filters: Mapping[str, Filter]
    sort_keys: tuple[str, ...]
    default: str
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came over the wire."""

    #: Names in lower case.
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    query: bytes = b""
    body: bytes = b""
    #: Where the caller reached the service: scheme, host, and what a proxy put in front of the path.
    root: str = ""


@dataclass(slots=True)
class Call:
    """One request, authenticated, at a version at which its route exists, with its body read."""

    deps: Deps
    route: Route
    caller: Caller
    versions: Versions
    #: The variable parts of the path, decoded.
    words: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    #: The body: an instance of the route's model, or a plain map.
    body: Any
    now: float
    sent: Sent = field(default_factory=Sent)
    #: What the audit log is to say besides what it says of every request: rights that were used, for example. No secrets.
    audited: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        return self.words[0]

    @property
    def owner(self) -> Owner:
        return self.caller.owner

    @property
    def scope(self) -> Scope:
        return Scope(self.caller.owner.project, everywhere=self.caller.is_admin)

    @property
    def own_scope(self) -> Scope:
        """What the caller's own project has, whoever the caller is."""
        return Scope(self.caller.owner.project)

    def since(self, minor: int) -> bool:
        """Whether the request speaks at least version 1.``minor``."""
        return self.versions.minor >= minor

    @property
    def ours(self) -> bool:
        """Whether the request speaks Spinney's own version too."""
        return self.versions.ours is not None

    def require(self, rule: str) -> None:
        """What the caller needs besides the route's own rule. Raises: Forbidden."""
        self.deps.rules.require(self.caller, rule)

    def data(self, model: type[M]) -> M:
        assert isinstance(self.body, model)
        return self.body

    def flag(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), None)


Handler = Callable[[Call], Awaitable[Reply | Stream]]


@dataclass(frozen=True, slots=True)
class Route:
    """``since``: the least minor version. ``ours``: there only for callers who negotiate Spinney's own version."""

    method: str
    path: str
    handler: Handler
    rule: str
    summary: str
    status: int = 200
    body: Body | None = None
    list: ListSpec | None = None
    parameters: tuple[str, ...] = ()
    since: int = 0
    ours: bool = False
    #: Served without authentication, at whatever version; the handler sees to what is needed.
    public: bool = False
    media_type: str = "application/json"
    #: What the success holds; None: nothing, or what ``media_type`` says.
    answer: Shape | None = None
    #: Other successes than that of ``status``.
    also: Mapping[int, Shape] = field(default_factory=dict)
    #: Statuses of refusals besides those that any route can answer with.
    refusals: tuple[int, ...] = ()
    segments: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.path.strip("/").split("/")))


def json_reply(content: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, orjson.dumps(content), headers)


def queued(action_id: str, content: Any) -> Reply:
    """202: what was asked for is in the queue as that action."""
    return json_reply(content, 202, (b"location", b"/v1/actions/" + action_id.encode()))
