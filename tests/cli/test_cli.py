"""The command line: help, usage errors, exit status, and what each verb passes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xdpkit import __version__
from xdpkit.cli import main as cli
from xdpkit.control import client as control_client
from xdpkit.errors import BpfError, ConfigError, ControlError, ZoneError

VERBS = ["run", "check", "plan", "doctor", "restore", "status", "reload"]
VERBS += ["query", "blast", "bench", "demo"]


def failing(error: BaseException) -> Callable[[object], int]:
    def verb(options: object) -> int:
        raise error

    return verb


def run_in_a_process(code: str, **named: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import sys; from xdpkit.cli.main import main; {code}"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | named
    return subprocess.run(command, text=True, timeout=30, **streams)


def test_help_names_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"    {verb}" in out for verb in VERBS)
    assert "takeover" not in out
    assert "exit status:" in out and "/etc/xdpkit/xdpkit.toml" in out


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_is_its_manual(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert all(part in out for part in ("needs:", "root", "exit status:", "example:", "--debug"))
    assert ("--json" in out) == (verb != "run")
    assert max(map(len, out.splitlines())) <= 100


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"xdpkit {__version__}\n"


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "VERB: see xdpkit --help"),
        (["stats"], "invalid choice: 'stats'"),
        (["query", "example.com"], "required: TYPE: see xdpkit query --help"),
        (["status", "--js"], "unrecognized arguments: --js"),
        (["status", "eth0", "eth1"], "unrecognized arguments: eth1"),
        (["run", "-c"], "expected one argument: see xdpkit run --help"),
        (["check", "-c", "/nonexistent/x.toml"], "/nonexistent/x.toml: no such file"),
        (["query", "a", "A", "--client", "1.2.3"], "--client: '1.2.3' does not"),
        (["query", "a", "A", "--ecs", "192.0.2.1/24"], "--ecs: 192.0.2.1/24 has host bits set"),
        (["query", "a", "A", "--times", "3"], "--times and --ignore-scope are for --compare"),
        (["query", "--compare", "here", "/dev/null"], "--compare here: not an address and a port"),
        (["query", "--compare", "::1", "a", "A"], "--compare takes one FILE"),
        (["query", "--compare", "::1", "--times", "0"], "--times 0 is not within 1..10000"),
        (["query", "--compare", "::1", "/missing"], "/missing: cannot be read: No such file"),
    ],
)
def test_usage_errors_are_one_line_and_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("xdpkit: ") and words in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "error, status, line",
    [
        (ControlError("nobody there"), 1, "xdpkit: nobody there"),
        (control_client.RequestError("bad zone", exit_code=2), 2, "xdpkit: bad zone"),
        (ConfigError("x.toml", "no", 3, 4), 2, "xdpkit: x.toml:3:4: no"),
        (BpfError("two\nlines"), 1, "xdpkit: two lines"),
        (PermissionError(13, "Permission denied", "/x"), 1, "xdpkit: /x: Permission denied"),
        (ExceptionGroup("", [ExceptionGroup("", [ZoneError("z", "no", 1)])]), 2, "xdpkit: z:1: no"),
    ],
)
def test_failures_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    line: str,
) -> None:
    monkeypatch.setitem(cli._VERBS, "demo", failing(error))
    assert cli.main(["demo"]) == status
    assert capsys.readouterr().err == line + "\n"
    for arguments in (["--debug", "demo"], ["demo", "--debug"]):
        assert cli.main(arguments) == status
        err = capsys.readouterr().err
        assert "Traceback" in err and err.endswith(line + "\n")


def test_debug_shows_the_verifier_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = BpfError("refused: --debug shows its log", "R3 !read_ok")
    monkeypatch.setitem(cli._VERBS, "demo", failing(ExceptionGroup("", [error])))
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == "xdpkit: refused: --debug shows its log\n"
    assert cli.main(["demo", "--debug"]) == 1
    assert "R3 !read_ok" in capsys.readouterr().err


def test_debug_reaches_the_verb_from_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setitem(cli._VERBS, "demo", lambda options: seen.append(options.debug) or 0)
    for arguments in (["demo"], ["--debug", "demo"], ["demo", "--debug"]):
        assert cli.main(arguments) == 0
    assert seen == [False, True, True]


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ValueError("x"), ExceptionGroup("", [ControlError("x"), KeyError("y")])):
        monkeypatch.setitem(cli._VERBS, "demo", failing(error))
        with pytest.raises(type(error)):
            cli.main(["demo"])


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(cli._VERBS, "demo", failing(KeyboardInterrupt()))
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_not_reported() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = run_in_a_process("sys.exit(main(['--help']))", stdout=writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_full_disk_is_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        ended = run_in_a_process("sys.exit(main(['--help']))", stdout=full)
    assert ended.returncode == 1
    assert ended.stderr.startswith("xdpkit: No space left on device: free some space\n")


@pytest.mark.parametrize("arguments", [["--help"], ["status", "nowhere0", "--json"], ["blast"]])
def test_quick_verbs_import_little(arguments: list[str]) -> None:
    heavy = {"bcc", "scapy", "pyroute2", "dns", "rich", "anyio", "asyncio"}
    ended = run_in_a_process(f"main({arguments!r}); print({heavy!r} & sys.modules.keys())")
    assert ended.stdout.splitlines()[-1] == "set()"
