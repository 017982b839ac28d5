"""BIND's validator, delv, accepts every answer from the signed zones: records and denials."""

from __future__ import annotations

import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import pytest
from dns_signed import SignedZones

# Below the signed zone: every kind of answer and denial.
NAMES = """
@ ns1 www web nothing x.nothing wild q.wild x.y.z.wild sub.wild a.sub.wild y.wild q.y.wild q.wcname
q.wout q.wmiss q.wtwo q.wtwo2 q.wround c0 dangling toent towild towildent ent c.ent x.ent q.ent2.ent
q.wdeep.ent2 wdeep.ent2 entwild q.entwild q.w.entwild mx types _tcp x.dn dn x.y.dn2 q.dnhost q.dnout
q.dndn q.dnc todn q.wdn q.child host.child q.w.child zzz \\000\\000 tochild nochild back.child
q.dnchild x.mixent b.mixent mixent
"""

# Also queried for TXT: names that have only other types, or that one.
TEXTS = "@ web sub.wild q.wild ent c.ent x.ent q.wdeep.ent2 q.wcname x.dn towild mixent"

# Below or at delegations: (name, type, delv's verdict).
DELEGATED = [
    ("secure", "DS", "fully validated"),
    ("insecure", "DS", "negative response, fully validated"),
    ("dschild", "DS", "negative response, fully validated"),
    ("deep.in.cutent", "DS", "negative response, fully validated"),
    ("child", "DS", "fully validated"),
    ("child", "A", "negative response, fully validated"),
]


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> SignedZones:
    return SignedZones(tmp_path_factory.mktemp("validation"))


class Datagrams(socketserver.BaseRequestHandler):
    """The bytes call behind UDP."""

    ask: Callable[[list[bytes]], list[bytes]]

    def handle(self) -> None:
        request, sock = self.request
        sock.sendto(self.ask([request])[0], self.client_address)


class Stream(Datagrams):
    """The same behind TCP, which BIND uses after a DNAME; without a smaller size limit."""

    def handle(self) -> None:
        with self.request.makefile("rb") as stream:
            while length := stream.read(2):
                query = dns.message.from_wire(stream.read(int.from_bytes(length, "big")))
                query.use_edns(0, query.ednsflags, 4096)
                reply = self.ask([query.to_wire()])[0]
                self.request.sendall(len(reply).to_bytes(2, "big") + reply)


@pytest.fixture(scope="module")
def port(zones: SignedZones) -> Iterator[int]:
    """A loopback port that serves the zones."""
    for handler in (Datagrams, Stream):
        handler.ask = staticmethod(zones.ask)
    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream) as tcp,
        socketserver.UDPServer(tcp.server_address, Datagrams) as udp,
    ):
        for server in (tcp, udp):
            threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield tcp.server_address[1]
        for server in (tcp, udp):
            server.shutdown()


@pytest.fixture(scope="module")
def anchors(zones: SignedZones) -> Path:
    path = zones.zones.parent / "anchors"
    lines = []
    for zone, key in zones.keys.items():
        record = next(line for line in key.read_text().splitlines() if line[0] != ";")
        flags, protocol, algorithm, *data = record.split("DNSKEY")[1].split()
        public = "".join(data)
        lines.append(f'"{zone}" static-key {flags} {protocol} {algorithm} "{public}";')
    path.write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n")
    return path


def delv(port: int, anchors: Path, zone: str, questions: list[tuple[str, str]]) -> list[str]:
    """The output of delv for each question."""
    found = []
    for name, rdtype in questions:
        command = ["delv", "@127.0.0.1", "-p", str(port), "-a", str(anchors), f"+root={zone}"]
        done = subprocess.run(
            [*command, name, rdtype],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        found.append(done.stdout + done.stderr)
    return found


@pytest.mark.parametrize("flavor", ["nsec", "nsec3", "optout"])
@pytest.mark.parametrize("rdtype, names", [("A", NAMES), ("TXT", TEXTS)], ids=["A", "TXT"])
def test_validated(port: int, anchors: Path, flavor: str, rdtype: str, names: str) -> None:
    zone = f"{flavor}.test"
    asked = [(zone if name == "@" else f"{name}.{zone}", rdtype) for name in names.split()]
    for question, output in zip(asked, delv(port, anchors, zone, asked), strict=True):
        # Where opt-out may have omitted a delegation, the absence of a name cannot be proved.
        omitted = flavor == "optout" and "unsigned answer" in output
        assert "fully validated" in output or omitted, f"{question}: {output}"


@pytest.mark.parametrize("flavor", ["nsec", "nsec3", "optout"])
@pytest.mark.parametrize("name, rdtype, words", DELEGATED)
def test_delegations(
    port: int, anchors: Path, flavor: str, name: str, rdtype: str, words: str
) -> None:
    zone = f"{flavor}.test"
    output = delv(port, anchors, zone, [(f"{name}.{zone}", rdtype)])[0]
    assert words in output, output
