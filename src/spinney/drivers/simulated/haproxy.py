"""The load balancer in a simulated container of its image: a small HAProxy that keeps to ``drivers/balancer/control``.

Modelled: the configuration file and its check, reloads, servers with their address, administrative state and sessions, and what
is told of these. Nothing is balanced: how many sessions and requests there are is said by tests (``sessions``, ``requests``).
As in a real one, what was said at run time is lost when the container begins anew, and the file is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spinney.drivers.balancer.image import CONTROL, REPOSITORY
from spinney.drivers.simulated.shell import Output, Process, Read

if TYPE_CHECKING:
    from spinney.drivers.simulated.values import ContainerRecord

_IDLE = "global\n\nfrontend idle\n    bind 127.0.0.1:8003\n"
_SECTION = re.compile(r"(global|defaults|(?:frontend|backend|peers|listen) [\w.-]+)$")
_SERVER = re.compile(r"\s+server s(\d+) ([0-9a-f.:]+):(\d+)( cookie s\1)?( disabled)?$")
_COMMAND = re.compile(r"set server ([\w.-]+)/s(\d+) (?:state (ready|drain|maint)|addr ([0-9a-f.:]+) port (\d+))$")
#: ``srv_admin_state``.
_STATES = {"ready": 0, "maint": 1, "drain": 8}
_DISABLED = 5
_STATE_TITLES = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change "
    "srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id "
    "srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"
)


@dataclass(slots=True)
class Server:
    address: str
    port: int
    admin: int

    @property
    def place(self) -> tuple[str, int]:
        return self.address, self.port

    @property
    def serves(self) -> bool:
        return self.admin == 0


@dataclass(slots=True)
class Haproxy:
    """``servers`` by slot. ``sessions``: by address and port, what is under way there; ``down``: what its checks find."""

    file: str = _IDLE
    backend: str = ""
    servers: dict[int, Server] = field(default_factory=dict)
    sessions: dict[tuple[str, int], int] = field(default_factory=dict)
    down: set[tuple[str, int]] = field(default_factory=set)
    requests: int = 0
    reloads: int = 0
    #: Whether a process from before a reload still serves.
    former: bool = False
    _run: int = 0

    def begin(self, run: int) -> None:
        """The container's ``run``; a later one has lost what was said at run time."""
        if run != self._run:
            self._run = run
            self._load()

    def serving(self) -> set[tuple[str, int]]:
        """To whom something new is given."""
        return {server.place for server in self.servers.values() if server.serves}

    def _load(self) -> None:
        self.backend = next(iter(re.findall(r"^backend ([\w.-]+)$", self.file, re.MULTILINE)), "")
        found = [match for line in self.file.splitlines() if (match := _SERVER.match(line)) is not None]
        self.servers = {
            int(one[1]): Server(one[2], int(one[3]), _DISABLED if one[5] else _STATES["ready"]) for one in found
        }

    def answer(self, verb: str, what: str) -> tuple[str, int]:
        if verb == "look":
            return self._look(), 0
        if verb == "run":
            return "\n".join(self._run_one(command.strip()) for command in what.split(";")), 0
        if verb == "put":
            return self._put(what)
        if verb == "reload":
            self._load()
            self.reloads += 1
            return "", 0
        return f"{verb} is unknown", 1

    def _run_one(self, command: str) -> str:
        match = _COMMAND.match(command)
        server = self.servers.get(int(match[2])) if match is not None and match[1] == self.backend else None
        if match is None or server is None:
            return "No such server." if match is not None else "Unknown command."
        if match[3]:
            server.admin = _STATES[match[3]]
        else:
            server.address, server.port = match[4], int(match[5])
        return ""

    def _put(self, encoded: str) -> tuple[str, int]:
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            return "base64: truncated input", 1
        for number, line in enumerate(text.splitlines(), 1):
            unknown = bool(line) and not line.startswith(" ") and _SECTION.match(line) is None
            if unknown or (line.strip().startswith("server ") and _SERVER.match(line) is None):
                return f"[ALERT] (1) : config : parsing [next.cfg:{number}] : unknown keyword '{line.strip()}'", 1
        self.file = text
        return "", 0

    def _look(self) -> str:
        states = [
            f"3 {self.backend} {slot} s{slot} {server.address} {0 if server.place in self.down else 2} {server.admin} 1 1 "
            f"9 1 0 2 0 0 0 0 - {server.port} - 0 0 - - 0"
            for slot, server in sorted(self.servers.items())
        ]
        total = sum(self.sessions.values())
        counted = ["# pxname,svname,qcur,scur,stot,req_tot,status,"]
        if self.backend:
            counted.append(f"clients,FRONTEND,,{total},{self.requests},{self.requests},OPEN,")
        for slot, server in sorted(self.servers.items()):
            counted.append(f"{self.backend},s{slot},0,{self.sessions.get(server.place, 0)},0,,no check,")
        processes = ["#<PID> <type> <reloads> <uptime> <version>", "7 master 1 0d00h00m01s 2.6", "# workers"]
        processes += ["9 worker 0 0d00h00m01s 2.6"]
        processes += ["# old workers", "8 worker 1 0d00h00m01s 2.6"] if self.former else []
        digest = hashlib.sha256(self.file.encode()).hexdigest()
        parts = ([f"{digest}  haproxy.cfg", "1", f"# {_STATE_TITLES}", *states], counted, [*processes, "# programs"])
        return "\n\n".join("\n".join(part) for part in parts) + "\n"


def controlled(record: ContainerRecord, command: tuple[str, ...]) -> Process | None:
    """The command that speaks with the load balancer in the container; None: it is another command, or no load balancer."""
    if command[:1] != (CONTROL,) or not record.request.image.reference.startswith(f"{REPOSITORY}:"):
        return None
    return _conversation(record)


def of(record: ContainerRecord) -> Haproxy:
    """The load balancer in a container of its image."""
    if record.balancer is None:
        record.balancer = Haproxy()
    record.balancer.begin(record.run)
    return record.balancer


def _conversation(record: ContainerRecord) -> Process:
    run = record.run
    while True:
        line: bytes = (yield Read(line=True)) or b""
        if not line or record.run != run:
            return 0
        tag, _, asked = line.decode().strip().partition(" ")
        verb, _, what = asked.partition(" ")
        said, code = of(record).answer(verb, what)
        yield Output("stdout", f"{said}\n{tag} {code}\n".encode())
