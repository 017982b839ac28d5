"""Real DNS clients get right answers from the ring and from the slow path."""

from __future__ import annotations

from pathlib import Path

import pytest
from peers import dnsperf
from serving import Server, eventually

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


def ask(lab: Lab, tool: str, address: str, *question: str) -> str:
    """One query by dig or kdig, without retries."""
    options = ["+tries=1", "+time=10"] if tool == "dig" else ["+retry=0", "+time=10"]
    done = lab.client.run(tool, *options, "+norec", f"@{address}", *question)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("edns", ["+edns=0", "+noedns"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("tool", ["dig", "kdig"])
def test_dns(lab: Lab, server: Server, way_in: str, tool: str, family: int, edns: str) -> None:
    if tool == "kdig" and edns == "+edns=0":
        edns = "+edns"
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    before = server.answers_by(way_in)

    def short(*question: str) -> list[str]:
        return ask(lab, tool, address, edns, "+short", *question).split()

    assert short("www.example", "A") == ["192.0.2.80"]
    assert short("www.example", "AAAA") == ["2001:db8::80"]
    assert short("alias.example", "A") == ["www.example.", "192.0.2.80"]
    assert short("some.wild.example", "TXT") == ['"any', 'name"']
    assert short("in.the.example", "A") == []
    mixed = ask(lab, tool, address, edns, "wWw.ExAmPlE", "A")
    # Debian 12's kdig always prints names in lower case; Debian 13's does not.
    assert "wWw.ExAmPlE." in mixed if tool == "dig" else "www.example." in mixed.lower()
    assert "192.0.2.80" in mixed
    for question, rcode in (
        (("www.example", "MX"), "NOERROR"),
        (("nobody.example", "A"), "NXDOMAIN"),
        (("www.elsewhere", "A"), "REFUSED"),
        (("www.example", "CH", "TXT"), "REFUSED"),
    ):
        assert f"status: {rcode}" in ask(lab, tool, address, edns, *question), question
    cut = ask(lab, tool, address, edns, "+ignore", "large.example", "TXT")
    assert " tc" in cut.split("\n\n")[0].lower()
    eventually(lambda: server.answers_by(way_in) == before + 11, "eleven answers")


def test_dig_versions_and_opcodes(lab: Lab, server: Server, way_in: str) -> None:
    later = ask(lab, "dig", lab.server.ipv4, "+edns=1", "+noednsneg", "www.example")
    assert "status: BADVERS" in later
    other = ask(lab, "dig", lab.server.ipv4, "+opcode=iquery", "www.example")
    assert "status: NOTIMP" in other


@pytest.mark.parametrize("family", [4, 6])
def test_dnsperf(lab: Lab, server: Server, way_in: str, family: int, tmp_path: Path) -> None:
    """Many sockets, many queries in flight: none lost, none unexpected, all by one way in."""
    questions = ["www.example A", "www.example AAAA", "x.wild.example TXT", "nobody.example A"]
    questions += ["alias.example A", "x.sub.example A", "example SOA", "in.the.example TXT"]
    (tmp_path / "questions").write_text("\n".join([*questions, ""]))
    before = server.answers_by(way_in)
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    # No more in flight than the 256 frames of veth's rings: linux drivers/net/veth.c.
    options = ("-m", "udp", "-c", "10", "-q", "100", "-n", "2000", "-t", "20", "-e", "-D")
    numbers = dnsperf(lab.client, tmp_path / "questions", "-s", address, *options)
    assert numbers == {"sent": 16000, "completed": 16000, "lost": 0}
    eventually(lambda: server.answers_by(way_in) == before + 16000, "as many answers")
