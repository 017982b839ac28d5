"""DNS over TCP in a running server: real clients, large answers, reloads, address changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest
from payloads import dns_corpus, query
from peers import dnsperf
from serving import CONFIG, QUEUES, ZONE, Server, bytes_call, eventually, serving
from tcp_client import TcpClient, numbered
from tcp_serving import HUGE, WHOLE, WWW, connect, listening, tcp

from xdpkit._core._answer import answer
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def server(lab: Lab, directory: Path) -> Iterator[Server]:
    with serving(lab, directory, CONFIG, ZONE + HUGE) as server:
        yield server


# ------------------------------------------------------------------------------------ real clients


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("queue", [1, 2])
def test_truncated_answers_are_whole_over_tcp(
    lab: Lab, server: Server, family: int, queue: int
) -> None:
    """dig retries over TCP by itself, whichever way in sent TC."""
    lab.client.send_on_queue(queue, QUEUES)
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    for name, records in (("large", 12), ("huge", 228)):
        options = ["+tries=1", "+time=10", "+norec", f"@{address}", f"{name}.example", "TXT"]
        cut = lab.client.run("dig", "+ignore", *options)
        assert " tc" in cut.stdout.split("\n\n")[0].lower()
        whole = lab.client.run("dig", *options)
        assert "Truncated, retrying in TCP mode" in whole.stdout
        assert f"ANSWER: {records}," in whole.stdout and "(TCP)" in whole.stdout
        assert whole.stdout.count("\tTXT\t") == records


@pytest.mark.parametrize("family", [4, 6])
def test_kdig_keeps_a_connection_open(lab: Lab, server: Server, family: int) -> None:
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    questions = ["www.example", "A", "huge.example", "TXT", "nobody.example", "A"] * 5
    before = tcp(server)
    done = lab.client.run(
        "kdig", "+tcp", "+keepopen", "+retry=0", "+time=10", f"@{address}", *questions
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("status: NOERROR") == 10
    assert done.stdout.count("status: NXDOMAIN") == 5
    assert done.stdout.count("192.0.2.80") == 5
    eventually(lambda: tcp(server)["queries"] == before["queries"] + 15, "fifteen queries")
    assert tcp(server)["accepted"] == before["accepted"] + 1


def test_dnsperf(lab: Lab, server: Server, tmp_path: Path) -> None:
    """Many connections, each with many queries in flight: none lost, none unexpected."""
    questions = ["www.example A", "www.example AAAA", "x.wild.example TXT", "nobody.example A"]
    (tmp_path / "questions").write_text("\n".join([*questions * 8, "large.example TXT", ""]))
    before = server.verdicts()
    options = ("-m", "tcp", "-c", "20", "-q", "200", "-n", "400", "-t", "20")
    numbers = dnsperf(lab.client, tmp_path / "questions", "-s", lab.server.ipv4, *options)
    assert numbers == {"sent": 13200, "completed": 13200, "lost": 0}
    assert server.verdicts()["dns_noerror"] - before["dns_noerror"] == 400 * 25


# ----------------------------------------------------------------------------------- one function


@pytest.mark.parametrize("family", [4, 6])
def test_the_answers_are_those_of_the_bytes_call(
    lab: Lab, server: Server, directory: Path, family: int
) -> None:
    """The corpus for the other ways in, on one connection, except for what would end it."""
    snapshot = bytes_call(directory, 0)
    corpus = [one for one in dns_corpus(random.Random(20261122)) if len(one) >= 12]
    corpus += [WHOLE] * 3
    expected = [answer(snapshot, "dns", one, tcp=True)[1] for one in corpus]
    before = server.status()
    with connect(lab, family) as client:
        assert client.ask(*corpus) == expected
    after = server.status()
    assert after["slow_path"]["tcp"]["tx"] - before["slow_path"]["tcp"]["tx"] == len(corpus)
    assert sum(after["verdicts"].values()) - sum(before["verdicts"].values()) >= len(corpus)


def test_dnspython_and_a_thousand_in_one_go(lab: Lab, server: Server) -> None:
    asked = [
        dns.message.make_query("www.example", "A" if number % 2 else "AAAA", id=number)
        for number in range(1000)
    ]
    with connect(lab) as client:
        replies = client.ask(*(one.to_wire() for one in asked))
    for one, reply in zip(asked, replies, strict=True):
        assert one.is_response(dns.message.from_wire(reply))


def test_a_reload_under_load(lab: Lab, server: Server, directory: Path) -> None:
    """Every answer is from one version, and never older than the previous answer's."""

    def zone(version: int) -> str:
        texts = "".join(f'many TXT "{version:03} {n:03} {"m" * 200}"\n' for n in range(150))
        return ZONE.replace("hostmaster 1 ", f"hostmaster {version} ") + HUGE + texts

    asked = numbered(query("many.example", "TXT"), range(2, 82))
    seen = []
    with connect(lab, receive_buffer=8192) as client:
        for version in range(2, 8):
            (directory / "zones" / "example.zone").write_text(zone(version))
            client.send(*asked)
            assert server.request("reload")["zones"]["example"]["serial"] == version
            for one in asked:
                reply = client.receive()
                said = dns.message.from_wire(reply)
                assert reply[:2] == one[:2]
                if not said.answer:
                    # The zone from before this test has no such name.
                    assert seen == []
                    continue
                assert len(said.answer[0]) == 150
                [version_seen] = {record.strings[0][:3] for record in said.answer[0]}
                seen.append(int(version_seen))
    assert seen == sorted(seen)
    assert set(seen) >= {3, 4, 5, 6, 7}


# -------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("address", ["192.0.2.50/24", "2001:db8::50/64"])
def test_an_address_comes_and_goes(lab: Lab, server: Server, address: str) -> None:
    host = address.partition("/")[0]
    more = ["nodad"] if ":" in host else []
    before = listening(lab)
    assert before >= {lab.server.ipv4, lab.server.ipv6}
    assert not before & {"*", "0.0.0.0", "::"}
    for _ in range(2):
        lab.server.run("ip", "addr", "add", address, "dev", "server0", *more)
        eventually(lambda: listening(lab) == before | {host}, "a listening socket")
        with lab.client.entered(), TcpClient((host, 53)) as client:
            assert client.ask(WWW)[0][6:8] == b"\0\1"
            lab.server.run("ip", "addr", "del", address, "dev", "server0")
            eventually(lambda: listening(lab) == before, "its end")
    with connect(lab) as client:
        assert client.ask(WWW)[0][6:8] == b"\0\1"
