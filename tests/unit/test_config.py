"""Settings from files and overrides."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from oslo_config import cfg

from spinney import config
from spinney.config import Settings, load, options


def test_without_files_every_setting_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings(state_dir=tmp_path)


def test_every_field_of_every_group_is_an_option_with_a_help_that_is_a_sentence() -> None:
    groups = {f.name: getattr(Settings(state_dir=Path()), f.name) for f in fields(Settings)}
    groups = {name: group for name, group in groups.items() if is_dataclass(group)}
    found = options()
    assert found.keys() == groups.keys()
    for name, group in groups.items():
        assert [option.dest for option in found[name]] == [f.name for f in fields(group)]
        assert all(option.help and option.help.endswith(".") for option in found[name])


def test_files_are_read_in_order_and_overrides_win(tmp_path: Path) -> None:
    first, second = tmp_path / "a.conf", tmp_path / "b.conf"
    first.write_text(
        "[engine]\nlease = 7.5\nretries = 2\n[driver]\nunix_sockets = /a,/b\ncredentials_dir = /c\n"
        "[network]\npool = 10.0.0.0/8\n"
    )
    second.write_text("[engine]\nretries = 3\n")
    found = load(tmp_path, [first, second], [("api", "port", 0), ("engine", "concurrency", 9)])
    assert (found.engine.lease, found.engine.retries, found.engine.concurrency) == (7.5, 3, 9)
    assert found.driver.unix_sockets == ("/a", "/b") and found.driver.credentials_dir == Path("/c")
    assert (found.network.pool, found.api.port) == ("10.0.0.0/8", 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [("[engine]\nlease = soon\n", "lease"), ("no section\n", "no section"), ("[api]\nport = 1.5\n", "port")],
)
def test_a_bad_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.conf"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)configuration: .*{words}"):
        load(tmp_path, [file])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[healt]\n", r"bad\.conf: \[healt\] is no section; did you mean health\?"),
        ("[DEFAULT]\ndebug = 1\n", r"\[DEFAULT\] is no section; there are api, "),
        (
            "[health]\nsuspect_afterwards = 1\n",
            r"\[health\] has no option suspect_afterwards; did you mean suspect_after\?",
        ),
        ("[api]\nport = 1\nlease = 3\n", r"\[api\] has no option lease; it belongs into \[engine\]"),
        ("[network]\nzzz = 3\n", r"\[network\] has no option zzz; there are pool, prefix"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest_that_is(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.conf"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"configuration: .*{words}"):
        load(tmp_path, [file])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[egress]\nallow = 10.0.0.0/8,here\n", r"\[egress\] allow: here is no range of addresses"),
        ("[egress]\ndeny = 10.0.0.1/8\n", r"\[egress\] deny: 10\.0\.0\.1/8 .* give one such as 192\.0\.2\.0/24"),
        ("[webhook]\nbase_url = clusters.example\n", r"\[webhook\] base_url: clusters\.example is no root"),
        ("[webhook]\nrate_limit = 0\n", r"\[webhook\] rate_limit: 0 is not possible"),
        ("[balancer]\nimage = a\nimage_archive = b\n", r"\[balancer\] image: a is given beside image_archive b"),
        ("[balancer]\nkind = nginx\n", r"\[balancer\] kind: nginx is none; give auto, haproxy or octavia"),
        ("[balancer]\noctavia_url = here\n", r"\[balancer\] octavia_url: here is no URL"),
        ("[balancer]\nslots = 0\n", r"\[balancer\] slots: 0 is not possible; give at least 1"),
        ("[balancer]\ndrain_time = -1\n", r"\[balancer\] drain_time: -1 is not possible"),
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.conf"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"configuration: {words}"):
        load(tmp_path, [file])


@pytest.mark.parametrize(
    ("section", "name"),
    [(s, o.dest) for s, found in options().items() for o in found if isinstance(o, cfg.IntOpt | cfg.FloatOpt)],
)
def test_no_number_is_less_than_makes_sense(tmp_path: Path, section: str, name: str) -> None:
    least = -2 if section == "quota" else -1  # where -1 means that there is no limit
    with pytest.raises(ValueError, match=rf"configuration: \[{section}\] .*{name}.*; give "):
        load(tmp_path, (), [(section, name, least)])


def test_a_container_must_have_some_time_to_be_ready(tmp_path: Path) -> None:
    for given in (0.0, float("nan")):
        with pytest.raises(ValueError, match=r"\[health\] ready_within: (0|nan) is not possible; give at least 1"):
            load(tmp_path, (), [("health", "ready_within", given)])


def test_sections_may_be_written_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("# a comment\n[API]\nport = 5\n")
    assert load(tmp_path, [tmp_path / "a.conf"]).api.port == 5


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.conf"):
        load(tmp_path, [tmp_path / "absent.conf"])


def test_the_database_is_a_file_in_the_state_directory_unless_said_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path).database_url == f"sqlite:///{tmp_path / 'spinney.db'}"
    other = load(tmp_path, (), [("database", "connection", "postgresql+psycopg://x")])
    assert other.database_url == "postgresql+psycopg://x"


def test_nothing_imports_settings_as_a_global() -> None:
    assert not [name for name, value in vars(config).items() if isinstance(value, Settings)]
