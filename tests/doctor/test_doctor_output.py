"""What doctor prints: JSON of a stable form, text for a screen; which interfaces it examines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nic_facts import FOREIGN, GOOD, but
from rich.console import Console

from xdpkit.cli import main as cli
from xdpkit.control import client as control_client
from xdpkit.doctor import probe, probe_link
from xdpkit.doctor import run as doctor
from xdpkit.doctor import view as doctor_view
from xdpkit.doctor.finding import SEVERITIES, Wanted
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.doctor.probe_xdp import Program
from xdpkit.doctor.run import document, examine
from xdpkit.errors import ControlError
from xdpkit.nic.fact import Unknown
from xdpkit.nic.os.port_holders import Process

CONFIG = '[interface]\nname = "eth1"\nqueues = [2]\nmode = "zerocopy"\n[ntp]\nsource = "kernel"\n'

# What a program that reads --json may rely on: names are only ever added.
KEYS = set(Path(__file__).with_name("doctor_keys.txt").read_text().split())


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Nested names, except those that are data themselves: offloads, nodes, VLANs, unknowns."""
    if isinstance(value, dict) and path not in (
        *("facts.device.features", "facts.device.rules.rules"),
        *("facts.host.nodes", "facts.link.vlans", "unknown"),
    ):
        for name, inner in value.items():
            inside = f"{path}.{name}" if path else name
            yield inside
            yield from keys(inner, inside)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{path}[]")


def test_json_has_a_stable_form() -> None:
    bad = but(GOOD, xdp__programs=(FOREIGN,), kernel__jit=Unknown("why"))
    made = document([examine(bad, Wanted(queues=(2,)))])
    [report] = json.loads(json.dumps(made))["interfaces"]
    found = {key for key in keys(report) if not key.startswith("facts.kernel.jit.")}
    assert found == KEYS
    assert report["unknown"] == {"kernel.jit": "why"}
    assert report["facts"]["kernel"]["jit"] == {"unknown": "why"}
    assert {each["severity"] for each in report["findings"]} <= set(SEVERITIES)


def text(facts: list[ProbeFacts], terminal: bool = False) -> str:
    """What is printed on a terminal of 80 columns, or into a pipe."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=80 if terminal else None)
    before, doctor_view.Console = doctor_view.Console, lambda **_: console  # type: ignore[misc]
    try:
        doctor_view.show([examine(each, Wanted(queues=(2,))) for each in facts])
    finally:
        doctor_view.Console = before  # type: ignore[misc]
    return written.getvalue()


def test_text_has_no_color_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    bad = but(GOOD, xdp__programs=(FOREIGN,), kernel__jit=Unknown("why"))
    lines = text([bad]).splitlines()
    assert [line.rstrip() for line in lines[:4]] == [
        "eth1: mlx5_core 0000:81:00.0, 8 RX queues, kernel 6.12.9-amd64: cannot be served",
        "blocking",
        "  XDP program 'drop_all' (id 41, native) is on eth1: only one program fits, and this one "
        "is not ours: 'xdpkit run' leaves it and exits",
        "    $ ip link set dev eth1 xdpdrv off",
    ]
    assert lines[-2].startswith("fine: kernel, bcc, privileges, memory,")
    assert lines[-1].rstrip() == "unknown: kernel.jit (why)"
    assert "\033" not in text([bad]) and "\033" in text([bad], terminal=True)


def test_names_do_not_steer_the_terminal() -> None:
    by = (Process(9, "\033[2J\n"),)
    bad = but(
        GOOD,
        link__interface__name="a;b$(c)",
        xdp__programs=(Program(1, "native", "x", by), Program(2, "native", "y", by)),
        link__interface__up=False,
    )
    written = text([bad])
    assert "\033" not in written and r"\x1b[2J\n (process 9)" in written
    assert "$ ip link set dev 'a;b$(c)' up\n" in written.replace(" \n", "\n")


def test_a_bad_machine_fits_a_screen() -> None:
    bad = but(GOOD, link__interface__up=False, kernel__bcc=None, host__idle_us=133)
    assert len(text([bad], terminal=True).splitlines()) < 40


def test_several_in_short() -> None:
    lines = text([GOOD, but(GOOD, link__interface__up=False)]).splitlines()
    assert [line.rstrip() for line in lines] == [
        "eth1: mlx5_core 0000:81:00.0, 8 RX queues, kernel 6.12.9-amd64: can be served, "
        "in native mode, zero-copy",
        "  0 could be better, 1 good to know: xdpkit doctor eth1",
        "eth1: mlx5_core 0000:81:00.0, 8 RX queues, kernel 6.12.9-amd64: cannot be served",
        "  eth1 is down",
        "  $ ip link set dev eth1 up",
        "  0 could be better, 1 good to know: xdpkit doctor eth1",
    ]


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be probed; every interface is GOOD, except those that begin with "down"."""
    seen: list[Any] = []

    def interface(name: str, machine: object) -> ProbeFacts:
        seen.append(name)
        return ProbeFacts(
            *vars(but(GOOD, link__interface__up=not name.startswith("down"))).values()
        )

    monkeypatch.setattr(probe, "machine", seen.append)
    monkeypatch.setattr(probe, "interface", interface)
    monkeypatch.setattr(probe_link, "interfaces", lambda: ["eth1", "down1"])
    monkeypatch.setattr(control_client, "instances", list)
    return seen


def test_which_interfaces(
    probed: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "xdpkit.toml"
    path.write_text(CONFIG)
    assert cli.main(["doctor", "eth7"]) == 0
    assert cli.main(["doctor", "down7"]) == 1
    assert cli.main(["doctor", "-c", str(path), "--json"]) == 0
    assert cli.main(["doctor", "eth1", "-c", str(path)]) == 0
    assert cli.main(["doctor"]) == 0
    assert probed == [
        *((123, 53), "eth7", (123, 53), "down7"),
        *((123,), "eth1", (123,), "eth1"),
        *((123, 53), "eth1", "down1"),
    ]
    capsys.readouterr()
    assert cli.main(["doctor", "eth9", "-c", str(path)]) == 2
    assert "for eth1, not for eth9" in capsys.readouterr().err
    del probed[:]
    monkeypatch.setattr(control_client, "instances", lambda: ["served1"])
    assert cli.main(["doctor"]) == 0
    assert probed == [(123, 53), "served1"]


def test_no_interface_at_all(
    probed: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[str]:
        raise ControlError("/proc is not mounted")

    monkeypatch.setattr(control_client, "instances", broken)
    monkeypatch.setattr(probe_link, "interfaces", list)
    assert cli.main(["doctor"]) == 1
    assert "no interface except the loopback" in capsys.readouterr().err


def test_wanted_of_a_configuration(tmp_path: Path) -> None:
    from xdpkit import config

    path = tmp_path / "xdpkit.toml"
    path.write_text(CONFIG + "stratum = 3\n[echo]\nport = 77\n")
    wanted = Wanted.of(config.load(path))
    assert (wanted.queues, wanted.mode, wanted.ntp_sources) == ((2,), "zerocopy", ("kernel",))
    assert wanted.ports == {"ntp": 123, "echo": 77}


def test_the_machine_is_probed_once_for_all(probed: list[Any]) -> None:
    assert len(doctor.examine_all(["a", "b", "c"], Wanted())) == 3
    assert len([each for each in probed if isinstance(each, tuple)]) == 1
