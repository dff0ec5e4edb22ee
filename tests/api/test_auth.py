"""Authentication strategies: one user, an htpasswd file, and none at all. Keystone's is in test_auth_keystone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from api.client import basic
from spinney.api.auth import Authenticator, HttpBasic, NoAuth, Request, no_auth, standalone_caller
from spinney.api.auth.htpasswd import Htpasswd
from spinney.domain.identity import Caller
from spinney.errors import Unauthorized

CALLER = standalone_caller()
Write = Callable[..., Htpasswd]


def authenticate(strategy: Authenticator, **headers: str) -> Caller:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return asyncio.run(strategy.authenticate(Request(given, "GET", "/v1/nodes")))


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


# -- one user ----------------------------------------------------------------------------------------------------------


def test_the_right_password() -> None:
    strategy = HttpBasic("admin", "pa:ß", CALLER)
    for given in (basic("admin", "pa:ß"), basic("admin", "pa:ß").replace("Basic", "bAsIc")):
        assert authenticate(strategy, authorization=given) == CALLER
    assert "admin" in CALLER.roles and CALLER.project == "default"


WRONG = ["", "Basic", "Basic !!!", "Bearer x", basic("admin", "wrong"), basic("other", "right"), basic("", "")]


@pytest.mark.parametrize("given", WRONG)
def test_anything_else(given: str) -> None:
    with pytest.raises(Unauthorized):
        authenticate(HttpBasic("admin", "right", CALLER), authorization=given)


# -- an htpasswd file --------------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def made(passwords: str, people: str | None = None) -> Htpasswd:
        (tmp_path / "htpasswd").write_text(passwords)
        if people is not None:
            (tmp_path / "users.yaml").write_text(people)
        return Htpasswd(tmp_path / "htpasswd", None if people is None else tmp_path / "users.yaml")

    return made


def test_users_of_a_file_have_their_project_and_roles(write: Write) -> None:
    strategy = write(
        f"# who\n\nann:{hashed('a:b')}\nbob:{hashed('b').replace('$2b$', '$2y$')}\n",
        "ann: {project: shop, roles: [manager, auditor]}\n",
    )
    for _ in range(2):  # the second time from memory
        ann = authenticate(strategy, authorization=basic("ann", "a:b"))
        assert (ann.owner.user, ann.project, ann.roles) == ("ann", "shop", {"manager", "member", "reader", "auditor"})
    bob = authenticate(strategy, authorization=basic("bob", "b"))
    assert (bob.project, bob.roles, bob.user_name) == ("default", {"member", "reader"}, "bob")


@pytest.mark.parametrize("given", [*WRONG, basic("ann", "b"), basic("ann", "a\x00"), basic("ann", "a" * 100)])
def test_nobody_else_is_let_in(write: Write, given: str) -> None:
    strategy = write(f"ann:{hashed('a')}\n")
    for _ in range(2):
        with pytest.raises(Unauthorized, match="user and password"):
            authenticate(strategy, authorization=given)


def test_of_a_long_password_counts_what_bcrypt_looks_at(write: Write) -> None:
    strategy = write(f"ann:{hashed('a' * 72)}\n")
    assert authenticate(strategy, authorization=basic("ann", "a" * 80)).owner.user == "ann"


def test_an_unknown_user_costs_a_comparison_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, compared = write(f"ann:{hashed('a')}\n"), []
    check = bcrypt.checkpw

    def counting(password: bytes, expected: bytes) -> bool:
        compared.append(expected[:7])
        return check(password, expected)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    for name in ("ann", "eve"):
        with pytest.raises(Unauthorized):
            authenticate(strategy, authorization=basic(name, "wrong"))
    authenticate(strategy, authorization=basic("ann", "a"))
    authenticate(strategy, authorization=basic("ann", "a"))
    assert compared == [b"$2b$04$"] * 3, "the last one is from memory"


def test_a_changed_file_counts_at_once(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    strategy = write(f"ann:{hashed('a')}\n")
    authenticate(strategy, authorization=basic("ann", "a"))
    write(f"ann:{hashed('changed')}\nbob:{hashed('b')}\n")
    authenticate(strategy, authorization=basic("bob", "b"))
    with pytest.raises(Unauthorized):
        authenticate(strategy, authorization=basic("ann", "a"))
    file = strategy._files[0]
    file.write_text("bob:plain\n")
    authenticate(strategy, authorization=basic("bob", "b"))
    assert "the users before stay" in caplog.text and "line 1" in caplog.text


@pytest.mark.parametrize(
    ("passwords", "people", "words"),
    [
        ("ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n", None, "htpasswd, line 1: .* htpasswd -B"),
        (f"ann:{hashed('a')}\nbob:$apr1$x$y\n", None, "line 2"),
        ("ann\n", None, "line 1"),
        (f":{hashed('a')}\n", None, "line 1"),
        (f"ann:{hashed('a')}\nann:{hashed('a')}\n", None, "line 2: ann is in it twice"),
        (f"ann:{hashed('a')}\n", "bob: {project: x}\n", "bob has no password"),
        (f"ann:{hashed('a')}\n", "ann: {projet: x}\n", "users.yaml: ann.projet"),
        (f"ann:{hashed('a')}\n", "ann: {roles: member}\n", "ann.roles"),
        (f"ann:{hashed('a')}\n", "- ann\n", "users.yaml"),
        (f"ann:{hashed('a')}\n", "ann: [\n", "is not YAML"),
    ],
    ids=range(10),  # the hashes are others in each process
)
def test_files_that_cannot_be_meant_so(write: Write, passwords: str, people: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){words}"):
        write(passwords, people)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Htpasswd(tmp_path / "none")


# -- none --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "[::1]", "localhost", "127.9.9.9", "/run/spinney.sock"])
def test_no_authentication_where_only_this_machine_can_reach(listen: str) -> None:
    assert authenticate(no_auth(listen, CALLER), host="127.0.0.1:8777", x_auth_token="notused") == CALLER


@pytest.mark.parametrize("listen", ["0.0.0.0", "", "::", "10.0.0.1", "example.org"])
def test_and_nowhere_else(listen: str) -> None:
    with pytest.raises(ValueError, match="http_basic"):
        no_auth(listen, CALLER)


@pytest.mark.parametrize("host", ["localhost", "localhost:8777", "127.0.0.1", "[::1]:8777", ""])
def test_hosts_that_are_this_machine(host: str) -> None:
    assert authenticate(NoAuth(CALLER), host=host) == CALLER


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8777", "10.0.0.1", "[2001:db8::1]:80"])
def test_a_page_in_a_browser_comes_under_a_name_of_its_own(host: str) -> None:
    with pytest.raises(Unauthorized):
        authenticate(NoAuth(CALLER), host=host)
