"""``xdpkit query --compare`` of answers that UDP has no room for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving import Server
from test_geo_compare import POOL, compare, write_site

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

BIG = {
    "txt": [{"txt": f"{number}" * 250, "weight": 1 + number} for number in range(10)],
    "max_hosts": 7,
}
BIG_QUESTION = "big.pool.example.org TXT 203.0.113.7\n"


def with_big(big: Any) -> dict[str, Any]:
    return {**POOL, "data": {**POOL["data"], "big": big}}


def test_what_udp_has_no_room_for_is_asked_over_tcp(lab: Lab, tmp_path: Path) -> None:
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    started = Server(lab.server, write_site(tmp_path / "theirs", with_big(BIG)))
    try:
        config = write_site(tmp_path / "ours", with_big(BIG))
        status, found = compare(lab, config, questions=BIG_QUESTION)
        assert (status, found["differences"], found["compared"]) == (0, [], 1)
        other = {"txt": [*BIG["txt"][:-1], {"txt": "x" * 250, "weight": 10}], "max_hosts": 7}
        config = write_site(tmp_path / "ours", with_big(other))
        status, found = compare(lab, config, questions=BIG_QUESTION)
        [each] = found["differences"]
        assert status == 1 and each["differences"][0].startswith(
            'records that are never answered here: TXT "99999'
        )
        assert started.stop() == 0, started.log()
        # Where it has no TCP, that is said, and nothing is made up.
        path = write_site(tmp_path / "theirs", with_big(BIG))
        path.write_text(path.read_text().replace("[dns]\n", "[dns]\ntcp_connections = 0\n"))
        started = Server(lab.server, path)
        status, found = compare(lab, config, questions=BIG_QUESTION)
        [each] = found["differences"]
        [line] = each["differences"]
        assert line == "no answer over TCP to 100 of 100 questions with TC over UDP"
    finally:
        started.kill()
