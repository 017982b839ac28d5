# SPDX-License-Identifier: Apache-2.0
"""The pool of ``xdpkit demo``: each client has servers of its own country alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xdpkit.cli import main as cli
from xdpkit.demo import pool
from xdpkit.demo.zone import CONFIGURATION, ZONE


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    files = {"zones/example.zone": ZONE, "xdpkit.toml": CONFIGURATION + pool.CONFIGURATION}
    for name, text in (files | pool.FILES).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return str(tmp_path / "xdpkit.toml")


def test_clients_get_servers_of_their_countries(
    configuration: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for client in pool.CLIENTS:
        arguments = ["query", pool.NAME, "A", "--client", client.address, "-c", configuration]
        assert cli.main([*arguments, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        addresses = {line.split()[-1] for line in found["answer"]}
        assert len(addresses) == 2 and addresses <= pool.servers_of(client.country)
    first, second = (pool.servers_of(client.country) for client in pool.CLIENTS)
    assert not first & second


def test_the_demos_configuration_has_no_warning(
    configuration: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["check", "-c", configuration])
    out, err = capsys.readouterr()
    assert pool.NAME not in err, out + err
