"""Hosts that cannot be had: refused at once, in a sentence, and without a trace."""

from __future__ import annotations

import pytest

from system.running import Service, fresh, spinney


@pytest.mark.parametrize(
    ("identity", "parts"),
    [
        ("unix://{folder}/nobody.sock", ("nobody.sock", "cannot be adopted")),
        ("unix:///etc/passwd", ("/etc/passwd is not permitted", "the operator lists permitted ones")),
        ("unix://{folder}/../../etc/x.sock", ("endpoint", "an absolute path without '..'")),
        ("tcp://127.0.0.1:2375", ("a tcp endpoint needs a credential", "name one of type docker-tls")),
        ("ssh://root@127.0.0.1", ("needs a credential", "name one of type docker-ssh")),
        ("http://127.0.0.1:2375", ("http://127.0.0.1:2375", "unix://")),
    ],
)
def test_an_endpoint_that_cannot_be_adopted(service: Service, identity: str, parts: tuple[str, ...]) -> None:
    before = service.api.get("/nodes"), service.api.get("/profiles")
    identity = identity.format(folder=service.folder)
    reply = service.api.call("POST", "/nodes/adopt", {"identity": identity, "type": "host.docker-1.0", "name": "gone"})
    assert reply.status in (400, 500)
    assert all(part in reply.fault for part in parts), reply.fault
    assert (service.api.get("/nodes"), service.api.get("/profiles")) == before


def test_the_command_line_says_what_was_wrong(service: Service) -> None:
    said = spinney(service, "host", "add", "/etc/passwd", "--name", "gone")
    assert said.returncode == 1, said
    assert "/etc/passwd is not permitted" in " ".join(said.stderr.split())
    assert "Traceback" not in said.stderr


def test_a_host_made_from_a_profile_that_does_not_answer(service: Service) -> None:
    properties = {"endpoint": f"unix://{service.folder}/nobody.sock"}
    spec = {"type": "host.docker", "version": "1.0", "properties": properties}
    profile = service.api.create("profile", name=fresh("profile"), spec=spec)["id"]
    shown = service.until_node_is("ERROR", service.node(profile))
    assert "answer" in shown["status_reason"] or "reach" in shown["status_reason"], shown["status_reason"]
    assert [host["name"] for host in service.api.get("/hosts")] == ["local"]


def test_the_same_docker_engine_is_not_taken_for_two_hosts(service: Service) -> None:
    identity = f"unix://{service.docker.socket}"
    reply = service.api.call("POST", "/nodes/adopt", {"identity": identity, "type": "host.docker-1.0", "name": "twin"})
    assert reply.status == 409
    assert "registered already" in reply.fault
