"""BIND's validator, delv, believes every answer from the signed zones: records and denials."""

from __future__ import annotations

import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import pytest
from dns_signed import SignedZones

# Below the signed zone: each kind of answer and of denial there is.
NAMES = """
@ ns1 www web nothing x.nothing wild q.wild x.y.z.wild sub.wild a.sub.wild y.wild q.y.wild q.wcname
q.wout q.wmiss q.wtwo q.wtwo2 q.wround c0 dangling toent towild towildent ent c.ent x.ent q.ent2.ent
q.wdeep.ent2 wdeep.ent2 entwild q.entwild q.w.entwild mx types _tcp x.dn dn x.y.dn2 q.dnhost q.dnout
q.dndn q.dnc todn q.wdn q.child host.child q.w.child zzz \\000\\000 tochild nochild back.child
q.dnchild x.mixent b.mixent mixent
"""

# Asked for TXT too: what has other types only, or that one.
TEXTS = "@ web sub.wild q.wild ent c.ent x.ent q.wdeep.ent2 q.wcname x.dn towild mixent"

# Below or at delegations: (name, type, what delv finds).
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
    """The bytes door behind UDP."""

    ask: Callable[[list[bytes]], list[bytes]]

    def handle(self) -> None:
        request, sock = self.request
        sock.sendto(self.ask([request])[0], self.client_address)


class Stream(Datagrams):
    """And behind TCP, which BIND takes to when it sees a DNAME; with all the room there is."""

    def handle(self) -> None:
        with self.request.makefile("rb") as stream:
            while length := stream.read(2):
                query = dns.message.from_wire(stream.read(int.from_bytes(length, "big")))
                query.use_edns(0, query.ednsflags, 4096)
                reply = self.ask([query.to_wire()])[0]
                self.request.sendall(len(reply).to_bytes(2, "big") + reply)


@pytest.fixture(scope="module")
def port(zones: SignedZones) -> Iterator[int]:
    """A port of the loopback behind which the zones are."""
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
    """What delv says of each question."""
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


@pytest.mark.parametrize("flavour", ["nsec", "nsec3", "optout"])
@pytest.mark.parametrize("rdtype, names", [("A", NAMES), ("TXT", TEXTS)], ids=["A", "TXT"])
def test_believed(port: int, anchors: Path, flavour: str, rdtype: str, names: str) -> None:
    zone = f"{flavour}.test"
    asked = [(zone if name == "@" else f"{name}.{zone}", rdtype) for name in names.split()]
    for question, said in zip(asked, delv(port, anchors, zone, asked), strict=True):
        # Where opt-out may have left a delegation out, a missing name is proved to nobody.
        left_out = flavour == "optout" and "unsigned answer" in said
        assert "fully validated" in said or left_out, f"{question}: {said}"


@pytest.mark.parametrize("flavour", ["nsec", "nsec3", "optout"])
@pytest.mark.parametrize("name, rdtype, words", DELEGATED)
def test_delegations(
    port: int, anchors: Path, flavour: str, name: str, rdtype: str, words: str
) -> None:
    zone = f"{flavour}.test"
    said = delv(port, anchors, zone, [(f"{name}.{zone}", rdtype)])[0]
    assert words in said, said
