"""The installed command as its own process: finding the service, exit codes, start without the OpenStack libraries."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.stub import Answer, Stub, cluster, fault

PROBE = "import sys; from spinney.cli.main import app; sys.argv[0] = 'spinney'\n"


def spinney(*words: str, home: Path, then: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    code = f"{PROBE}try:\n    app(prog_name='spinney')\nfinally:\n    {then or 'pass'}"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**kept, "HOME": str(home), **environ}, cwd=home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def clouds(path: Path, **cloud: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"clouds": {"spinney": cloud}}))
    return path


@pytest.fixture
def served(stub: Stub) -> Stub:
    stub.on("GET /v1/clusters", {"clusters": []})
    return stub


def test_with_nothing_given_the_standalone_service_is_found(served: Stub, tmp_path: Path) -> None:
    auth = {"endpoint": served.url, "username": "admin", "password": "s:ecret"}
    clouds(tmp_path / ".local/state/spinney/clouds.yaml", auth_type="http_basic", auth=auth)
    loaded = "sys.stderr.write(str([m for m in ('openstack', 'rich', 'requests') if m in sys.modules]))"
    result = spinney("cluster", "list", "-o", "json", home=tmp_path, then=loaded)
    assert (result.returncode, json.loads(result.stdout), result.stderr) == (0, [], "[]")
    assert served.asked[0].headers["Authorization"] == "Basic YWRtaW46czplY3JldA=="


@pytest.mark.parametrize("auth_type", ["http_basic", "none"])
@pytest.mark.parametrize("root", [False, True])
def test_a_named_cloud_through_openstacksdk(served: Stub, tmp_path: Path, auth_type: str, root: bool) -> None:
    auth = {"endpoint": served.url.removesuffix("/v1") if root else served.url}
    if auth_type == "http_basic":
        auth |= {"username": "admin", "password": "secret"}
    # A setting that the short way does not know sends it the long way.
    file = clouds(tmp_path / "c.yaml", auth_type=auth_type, auth=auth, verify=False)
    loaded = "sys.stderr.write(str('openstack' in sys.modules))"
    words = ("--os-cloud", "spinney", "cluster", "list", "-o", "json")
    result = spinney(*words, home=tmp_path, then=loaded, OS_CLIENT_CONFIG_FILE=str(file))
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "[]", "True")
    assert ("Authorization" in served.asked[-1].headers) is (auth_type == "http_basic")
    assert served.asked[-1].headers["OpenStack-API-Version"] == "clustering 1.14, spinney latest"


@pytest.mark.parametrize("light", [True, False])
def test_connection_refused_is_one_sentence(tmp_path: Path, light: bool) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        more = {} if light else {"verify": False}
        file = clouds(tmp_path / "c.yaml", auth_type="none", auth={"endpoint": url}, **more)
        result = spinney("cluster", "list", "--os-cloud", "spinney", home=tmp_path, OS_CLIENT_CONFIG_FILE=str(file))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"spinney: no Spinney service answers at {url}")
    assert "`spinney standalone`" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("own", [False, True])
def test_a_cloud_of_the_users_own_comes_before_the_standalone_one(served: Stub, tmp_path: Path, own: bool) -> None:
    clouds(
        tmp_path / "state/clouds.yaml",
        auth_type="none",
        auth={"endpoint": served.url if not own else "http://0.0.0.0:9"},
    )
    if own:
        clouds(tmp_path / ".config/openstack/clouds.yaml", auth_type="none", auth={"endpoint": served.url})
    environ = {"SPINNEY_STATE_DIR": str(tmp_path / "state"), "OS_CLOUD": "spinney"}
    assert spinney("cluster", "list", home=tmp_path, **environ).returncode == 0


@pytest.mark.parametrize("more", [{}, {"verify": False}])
def test_logs_stream_either_way(stub: Stub, tmp_path: Path, more: dict[str, bool]) -> None:
    stub.on("GET /v1/nodes/n", {"node": {"id": "n1", "name": "n"}})
    stub.on("GET /v1/nodes/n1/logs", Answer(raw=b"one\ntwo\n"))
    file = clouds(tmp_path / "c.yaml", auth_type="none", auth={"endpoint": stub.url}, **more)
    assert spinney("logs", "n", home=tmp_path, OS_CLIENT_CONFIG_FILE=str(file)).stdout == "one\ntwo\n"
    stub.on("GET /v1/nodes/n1/logs", fault(404, "The node n1 has no container."))
    refused = spinney("logs", "n", home=tmp_path, OS_CLIENT_CONFIG_FILE=str(file))
    assert (refused.returncode, refused.stderr) == (1, "spinney: The node n1 has no container.\n")


def test_a_terminal_without_the_characters_gets_others_and_programs_get_escapes(served: Stub, tmp_path: Path) -> None:
    served.on("GET /v1/clusters", {"clusters": [cluster(name="林")]})
    environ = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": served.url, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "spinney.cli.main", "cluster", "list"]
    for words in ([], ["-o", "json"]):
        result = subprocess.run(
            [*command, *words], env={**os.environ, **environ}, capture_output=True, timeout=60, check=True
        )
        assert (b"?" in result.stdout) is not bool(words)
    assert json.loads(result.stdout)[0]["name"] == "林"


def test_an_unknown_cloud_is_one_sentence(tmp_path: Path) -> None:
    result = spinney("cluster", "list", "--os-cloud", "absent", home=tmp_path)
    assert result.returncode == 1
    assert "absent" in result.stderr and result.stderr.count("\n") == 1


def test_help_loads_no_command(tmp_path: Path) -> None:
    loaded = "sys.stderr.write(str([m for m in sys.modules if m.startswith('spinney.cli')]))"
    result = spinney("--help", home=tmp_path, then=loaded)
    assert result.returncode == 0
    assert "scale-out" not in result.stdout and "cluster" in result.stdout
    assert "spinney.cli.cluster" not in result.stderr


def test_completion_knows_commands_and_their_options(tmp_path: Path) -> None:
    asked = {"_SPINNEY_COMPLETE": "complete_bash", "_TYPER_COMPLETE_TESTING": "1"}
    for words, expected in (
        ("spinney clu", "cluster"),
        ("spinney cluster sc", "scale-out"),
        ("spinney node list --cl", "--cluster"),
    ):
        position = str(len(words.split()) - 1)
        result = spinney(home=tmp_path, COMP_WORDS=words, COMP_CWORD=position, **asked)
        assert expected in result.stdout.split(), (words, result)


def test_a_reader_that_goes_away_is_no_crash(served: Stub, tmp_path: Path) -> None:
    served.on("GET /v1/clusters", {"clusters": [{"name": "x" * 100, "id": str(i)} for i in range(5000)]})
    command = f"{sys.executable} -m spinney.cli.main cluster list -o json | head -n 1"
    environ = {**os.environ, "OS_AUTH_TYPE": "none", "OS_ENDPOINT": served.url}
    result = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "[\n"
    assert "Traceback" not in result.stderr
