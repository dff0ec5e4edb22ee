"""What HAProxy is told: its configuration, and the commands that lead from what it does to what is wanted."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.balancing.haproxy import Size, backend, configuration, slots_for
from spinney.domain.balancing.model import Check, Method, Mode, Persistence, Seen, Service, Stands, Wanted, Wish
from spinney.domain.balancing.runtime import Unreadable, applied, commands, in_lines, read
from spinney.drivers.simulated.haproxy import Haproxy

HTTP = Service(mode=Mode.HTTP, port=80, member_port=80)
SIZE = Size()


def wish(slot: int, stands: Stands = Stands.IN, address: str = "10.0.0.2", port: int = 80) -> Wish:
    return Wish(f"n{slot}", f"c{slot}", address, port, slot, stands)


def config(service: Service = HTTP, *members: Wish) -> str:
    return configuration(Wanted(service, 4, members), SIZE)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["mode http", "balance roundrobin", "option idle-close-on-response", "default_backend members."]),
        ({"mode": Mode.TCP}, ["mode tcp"]),
        ({"method": Method.LEAST_CONNECTIONS}, ["balance leastconn"]),
        ({"method": Method.SOURCE_IP}, ["balance source", "hash-type consistent"]),
        ({"limit": 100}, ["maxconn 100"]),
        ({"open": False}, ["disabled"]),
        ({"persistence": Persistence.SOURCE_IP}, ["stick on src", "peers processes"]),
        ({"persistence": Persistence.HTTP_COOKIE}, ["cookie SPINNEY insert indirect nocache httponly"]),
        ({"persistence": Persistence.HTTP_COOKIE, "cookie": "mine"}, ["cookie mine insert indirect nocache httponly"]),
        ({"persistence": Persistence.APP_COOKIE, "cookie": "sid"}, ["stick match req.cook(sid)"]),
        ({"check": Check(delay=0, timeout=2, retries=0)}, ["default-server check inter 1s fall 1 rise 1"]),
        (
            {"check": Check(delay=5, timeout=2, retries=3, tls=True, path="/h?x=1", method="PUT", codes="200-204")},
            ["meth PUT uri '/h?x=1'", "expect status 200-204", "timeout check 2s", "check-ssl verify none"],
        ),
    ],
)
def test_what_a_policy_says_is_in_the_configuration(changes: dict[str, Any], lines: list[str]) -> None:
    text = config(replace(HTTP, **changes))
    assert all(line in text for line in lines)


def test_who_is_in_a_file_serves_after_a_restart_and_others_do_not() -> None:
    text = config(HTTP, wish(1), wish(3, Stands.DRAINING, "10.0.0.4", 8080))
    assert [line.strip() for line in text.splitlines() if " server s" in line] == [
        "server s1 10.0.0.2:80",
        "server s2 127.0.0.1:9 disabled",
        "server s3 10.0.0.4:8080 disabled",
        "server s4 127.0.0.1:9 disabled",
    ]
    assert "server s1 10.0.0.2:80 cookie s1\n" in config(replace(HTTP, persistence=Persistence.HTTP_COOKIE), wish(1))


def test_a_closed_pool_is_given_nothing() -> None:
    assert "default_backend" not in config(replace(HTTP, pool_open=False))


def test_another_structure_has_another_name_and_members_alone_do_not_change_it() -> None:
    one = backend(Wanted(HTTP, 4), SIZE)
    assert one == backend(Wanted(HTTP, 4, (wish(1),)), SIZE) and f"backend {one}\n" in config(HTTP, wish(2))
    for other in (Wanted(HTTP, 8), Wanted(replace(HTTP, limit=9), 4), Wanted(replace(HTTP, pool_open=False), 4)):
        assert backend(other, SIZE) != one
    assert backend(Wanted(HTTP, 4), Size(9, 2)) != one


@pytest.mark.parametrize("address", ["10.0.0.2 disabled", "10.0.0.2\n    server evil 1.2.3.4", "", "web.example"])
def test_what_is_no_address_never_gets_into_it(address: str) -> None:
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        config(HTTP, wish(1, address=address))


@pytest.mark.parametrize(("args", "count"), [((32, 0, 0), 32), ((32, 20, 3), 64), ((4, 1, 9), 16), ((1, 0, 0), 1)])
def test_places(args: tuple[int, int, int], count: int) -> None:
    assert slots_for(*args) == count


def running(wanted: Wanted) -> Haproxy:
    program = Haproxy()
    said, code = program.answer("put", base64.b64encode(configuration(wanted, SIZE).encode()).decode())
    assert (said, code) == ("", 0) and program.answer("reload", "") == ("", 0)
    return program


def standing(program: Haproxy) -> dict[int, tuple[str, int, Stands]]:
    places = read(program.answer("look", "")[0]).places
    return {slot: (one.address, one.port, one.stands) for slot, one in places.items() if one.stands is not Stands.OUT}


WISHES = st.lists(
    st.builds(
        wish,
        st.integers(1, 4),
        st.sampled_from((Stands.IN, Stands.DRAINING)),
        st.sampled_from(("10.0.0.2", "10.0.0.3")),
        st.integers(80, 81),
    ),
    unique_by=lambda one: one.slot,
    max_size=4,
).map(tuple)


@given(WISHES, WISHES, st.booleans())
def test_commands_lead_from_anything_to_what_is_wanted(before: Any, after: Any, restarted: bool) -> None:
    program = running(Wanted(HTTP, 4, before))
    if restarted:
        program.begin(7)
    wanted = Wanted(HTTP, 4, after)
    given_new: set[tuple[str, int]] = set()
    for line in in_lines(commands(read(program.answer("look", "")[0]), wanted)):
        for command in line.split(";"):
            assert program.answer("run", command) == ("", 0)
            given_new |= program.serving()
    assert standing(program) == {one.slot: (one.address, one.port, one.stands) for one in after}
    look = read(program.answer("look", "")[0])
    assert commands(look, wanted) == []
    assert {i: one.stands for i, one in applied(look, wanted).members.items()} == {
        one.physical_id: one.stands for one in after
    }
    # On the way nothing is given to anybody who served neither before nor is to serve.
    was = {(one.address, one.port) for one in before if one.stands is Stands.IN}
    assert given_new <= was | {(one.address, one.port) for one in after}


def test_who_comes_is_in_before_anybody_goes() -> None:
    program = running(Wanted(HTTP, 4, (wish(1),)))
    told = commands(read(program.answer("look", "")[0]), Wanted(HTTP, 4, (wish(2, address="10.0.0.9"),)))
    assert [line.partition("/")[2] for line in told] == ["s2 addr 10.0.0.9 port 80", "s2 state ready", "s1 state maint"]


def test_many_commands_are_several_lines() -> None:
    many = [f"set server members.0123456789ab/s{number} state ready" for number in range(500)]
    lines = list(in_lines(many))
    assert ";".join(lines).split(";") == many and len(lines) > 2 and max(map(len, lines)) <= 8000


def test_what_it_serves_is_read() -> None:
    program = running(Wanted(HTTP, 4, (wish(1), wish(2, address="10.0.0.3"))))
    program.sessions = {("10.0.0.2", 80): 3}
    program.down = {("10.0.0.3", 80)}
    program.requests = 77
    wanted = Wanted(HTTP, 4, (wish(1), wish(2, address="10.0.0.3")))
    said = applied(read(program.answer("look", "")[0]), wanted)
    assert said.members == {"c1": Seen(Stands.IN, 3), "c2": Seen(Stands.IN, 0, well=False)}
    assert said.totals is not None and (said.totals.requests, said.totals.sessions) == (77, 3)
    program.former = True
    assert applied(read(program.answer("look", "")[0]), wanted).members["c1"].sessions is None


REAL = """0f  haproxy.cfg
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port
3 members.a1 1 s1 172.17.0.3 2 0 1 80
3 members.a1 2 s2 172.17.0.4 0 8 1 80
3 members.a1 3 s3 127.0.0.1 0 5 1 9

# pxname,svname,qcur,scur,stot,req_tot,
clients,FRONTEND,,1,5,9,
members.a1,s2,1,2,4,,

#<PID> <type>
# workers
357 worker 0
# old workers
237 worker 1
# programs
"""


def test_an_answer_is_read() -> None:
    look = read(REAL)
    assert (look.file, look.backend, look.former, look.requests) == ("0f", "members.a1", True, 9)
    assert {slot: (one.stands, one.sessions) for slot, one in look.places.items()} == {
        1: (Stands.IN, 0),
        2: (Stands.DRAINING, 3),
        3: (Stands.OUT, 0),
    }


@pytest.mark.parametrize("text", ["", "\n", REAL.replace("\n1\n", "\n2\n"), REAL.replace(" 80\n", " x\n")])
def test_what_is_no_answer_is_told(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@given(st.text())
def test_nothing_that_is_said_breaks_the_reader(text: str) -> None:
    try:
        read(text)
    except Unreadable:
        return
