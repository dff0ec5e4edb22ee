"""A very small shell, so that a simulated container does what a real one would with the same command.

Understood: ``;``, new lines, ``&&``, ``||``, ``&`` (runs in the foreground), ``while``/``until``/``for`` loops, ``if``,
``$NAME``, ``trap '' SIG`` and ``trap 'exit N' SIG``, redirection to ``&2`` and ``/dev/null``, and the programs in
``APPLETS``. A program that is not known ends with 127, as in a real shell. Not guaranteed: pipes, command substitution,
arithmetic, or the difference between single and double quotes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spinney.drivers.simulated.signals import signal_number


class Output(NamedTuple):
    stream: str
    data: bytes


class Wait(NamedTuple):
    seconds: float | None  # None: for ever


class OutOfMemory(NamedTuple):
    """The kernel kills the process."""


class Read(NamedTuple):
    """Input is wanted, a line of it or whatever there is; sent back are the bytes, none at its end."""

    line: bool = False


class Ask(NamedTuple):
    """A question to whoever runs the program, ``size`` (of its terminal) or ``user``; sent back is a text, or None."""

    about: str


Step = Output | Wait | OutOfMemory | Read | Ask
Process = Generator[Step, Any, int]

_PRINTING = frozenset({"echo", "printf", "env", "hostname"})
_STAYING = frozenset({"httpd", "nc", "sleep", "tail", "top", "yes"})
_CHANGING = frozenset({"cd", "exec", "exit", "export", "kill", "read", "set", "sync", "touch", "trap", "wait"})
_ASKING = frozenset(
    {"[", ":", "cat", "false", "id", "ls", "ps", "pwd", "stty", "test", "true", "uname", "wget", "which"}
)
APPLETS = _PRINTING | _STAYING | _CHANGING | _ASKING | {"sh", "ash"}
_LISTENING = frozenset({"cat", "id", "read", "stty"})
_TOKEN_BREAKS = ";&|\n<>()"
_SEPARATORS = {";", "&&", "||", "&"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_TRAP = re.compile(r"""trap\s+(?:(''|""|-)|(['"])\s*(?:[^'"]*?\bexit(?:\s+(\d+))?|([^'"]*))\s*\2)\s+((?:\w+\s*)+)""")
#: Seconds that one turn of a loop takes, so that a loop which does nothing does not stop the simulation.
_ITERATION = 0.001
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Command:
    words: tuple[str, ...]
    stream: str | None = "stdout"  # None: /dev/null


@dataclass(frozen=True, slots=True)
class Loop:
    condition: Script
    body: Script
    until: bool = False


@dataclass(frozen=True, slots=True)
class ForEach:
    variable: str
    items: tuple[str, ...]
    body: Script


@dataclass(frozen=True, slots=True)
class Branch:
    condition: Script
    then: Script
    otherwise: Script


Node = Command | Loop | ForEach | Branch
Script = tuple[tuple[str, Node], ...]  # each with the separator before it


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def traps(text: str) -> dict[int, int | None]:
    """What the script does on signals: an exit code, or None for nothing."""
    found: dict[int, int | None] = {}
    for ignored, _, code, other, names in _TRAP.findall(text):
        if ignored == "-":
            continue
        does_nothing = bool(ignored) or bool(other.strip())
        for name in names.split():
            number = signal_number(name)
            if number is not None:
                found[number] = None if does_nothing else int(code or 0)
    return found


def parse(text: str) -> Script:
    plain = re.sub(r"1?>&\s*2", " >&2 ", re.sub(r"2>(?:&\s*1|\s*/dev/null)", " ", text))
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=_TOKEN_BREAKS)
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    tokens = [";" if token and set(token) <= {";", "\n"} else token for token in lexer]
    return _Parser(tokens).script(frozenset())


def command(words: Sequence[str]) -> Script:
    return ((";", Command(tuple(words))),)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def script(self, ends: frozenset[str]) -> Script:
        nodes: list[tuple[str, Node]] = []
        separator = ";"
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token in ends:
                self._at += 1
                break
            if token in _SEPARATORS:
                separator = ";" if token == "&" else token
                self._at += 1
                continue
            nodes.append((separator, self._node()))
            separator = ";"
        return tuple(nodes)

    def _node(self) -> Node:
        token = self._tokens[self._at]
        if token in {"while", "until"}:
            self._at += 1
            condition = self.script(frozenset({"do"}))
            return Loop(condition, self.script(frozenset({"done"})), token == "until")
        if token == "for":
            variable = self._tokens[self._at + 1]
            self._at += 2
            items = self._words_until("do")
            return ForEach(variable, tuple(w for w in items if w not in {"in", ";"}), self.script(frozenset({"done"})))
        if token == "if":
            return self._branch()
        return self._command()

    def _branch(self) -> Branch:
        self._at += 1
        condition = self.script(frozenset({"then"}))
        start = self._at
        then = self.script(frozenset({"else", "fi"}))
        has_else = self._at > start and self._tokens[self._at - 1] == "else"
        return Branch(condition, then, self.script(frozenset({"fi"})) if has_else else ())

    def _words_until(self, end: str) -> list[str]:
        words = []
        while self._at < len(self._tokens) and self._tokens[self._at] != end:
            words.append(self._tokens[self._at])
            self._at += 1
        self._at += 1
        return words

    def _command(self) -> Command:
        words: list[str] = []
        stream: str | None = "stdout"
        while self._at < len(self._tokens) and self._tokens[self._at] not in _SEPARATORS:
            token = self._tokens[self._at]
            self._at += 1
            if token[:1] in {"<", ">"} and self._at < len(self._tokens):
                target = self._tokens[self._at]
                self._at += 1
                if token == ">&" and target == "2":
                    stream = "stderr"
                elif token in {">", ">>"}:
                    stream = None
            else:
                words.append(token)
        return Command(tuple(words), stream)


def execute(script: Script, environment: Mapping[str, str]) -> Process:
    """Run it step by step; the generator's value is the exit code."""
    try:
        return (yield from _run(script, dict(environment)))
    except _Exit as end:
        return end.code


def interactive(environment: Mapping[str, str]) -> Process:
    """A shell that reads what to do."""
    env, status = dict(environment), 0
    on_terminal = (yield Ask("size")) is not None
    while True:
        if on_terminal:
            yield Output("stdout", b"# ")
        line: bytes = (yield Read(line=True)) or b""
        if not line:
            return status
        try:
            status = yield from _run(parse(line.decode(errors="replace")), env)
        except _Exit as end:
            return end.code
        except ValueError as error:
            yield Output("stderr", f"sh: {error}\n".encode())
            status = 2


def _run(script: Script, env: dict[str, str]) -> Process:
    status = 0
    for separator, node in script:
        if (separator == "&&" and status) or (separator == "||" and not status):
            continue
        if isinstance(node, Command):
            status = yield from _simple(node, env)
        elif isinstance(node, Loop):
            while bool((yield from _run(node.condition, env))) == node.until:
                status = yield from _run(node.body, env)
                yield Wait(_ITERATION)
        elif isinstance(node, ForEach):
            for item in node.items:
                env[node.variable] = item
                status = yield from _run(node.body, env)
        else:
            failed = yield from _run(node.condition, env)
            status = yield from _run(node.otherwise if failed else node.then, env)
    return status


def _simple(node: Command, env: dict[str, str]) -> Process:
    words = [_VARIABLE.sub(lambda m: env.get(m[1] or m[2], ""), word) for word in node.words]
    while words and (words[0] == "exec" or re.match(r"^\w+=", words[0])):
        if words[0] != "exec":
            name, _, env[name] = words[0].partition("=")
        words = words[1:]
    if not words:
        return 0
    program = words[0].rpartition("/")[2]
    text = _text(program, words[1:], env)
    if text is not None:
        if text and node.stream:
            yield Output(node.stream, text.encode())
        return 0
    if program == "exit":
        raise _Exit(int(words[1]) if len(words) > 1 else 0)
    if program not in APPLETS:
        yield Output("stderr", f"sh: {words[0]}: not found\n".encode())
        return 127
    if program in _LISTENING:
        return (yield from _listening(program, words[1:], node.stream, env))
    return (yield from _waiting(program, words, env))


def _listening(program: str, arguments: list[str], stream: str | None, env: dict[str, str]) -> Process:
    """Programs that ask for something before they say something."""
    if program == "read":
        line: bytes = (yield Read(line=True)) or b""
        for name in arguments:
            env[name] = line.decode(errors="replace").rstrip("\n")
        return 0 if line else 1
    if program == "cat":
        while not arguments and (data := (yield Read())):
            if stream:
                yield Output(stream, data)
        return 0
    answer: str | None = yield Ask("user" if program == "id" else "size")
    if answer is None:
        yield Output("stderr", f"{program}: standard input: Not a tty\n".encode())
        return 1
    if stream:
        yield Output(stream, f"{answer}\n".encode())
    return 0


def _text(program: str, arguments: list[str], env: Mapping[str, str]) -> str | None:
    """What programs print that only print."""
    if program == "echo":
        bare = arguments[:1] == ["-n"]
        return " ".join(arguments[1:]) if bare else " ".join(arguments) + "\n"
    if program == "printf":
        return " ".join(arguments).replace("\\n", "\n")
    if program == "env":
        return "".join(f"{name}={value}\n" for name, value in env.items())
    if program == "hostname":
        return env.get("HOSTNAME", "") + "\n"
    return None


def _waiting(program: str, words: list[str], env: Mapping[str, str]) -> Process:
    if program == "sleep":
        seconds = 0.0
        for word in words[1:]:
            if word in {"inf", "infinity"}:
                yield Wait(None)
            unit = _UNITS.get(word[-1:])
            seconds += float(word[:-1]) * unit if unit else float(word)
        yield Wait(seconds)
        return 0
    if program == "tail" and "/dev/zero" in words:
        yield OutOfMemory()
    if program in {"httpd", "nc", "top", "yes"} or (program == "tail" and "-f" in words):
        yield Wait(None)
    if program in {"sh", "ash"} and "-c" in words:
        return (yield from execute(parse(words[words.index("-c") + 1]), env))
    if program in {"sh", "ash"}:
        return (yield from interactive(env))
    return 1 if program == "false" else 0
