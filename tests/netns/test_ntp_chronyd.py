"""The accept/drop matrix against a real chronyd: what it answers we answer, and as long."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator

import pytest
from payloads import MARK, MONO_ROOT, NTS_UNIQUE, SOUND_FIELD, field, ntp
from peers import chronyd_server
from serving import PATIENCE

from xdpkit.cext._answer import answer
from xdpkit.cext._snapshot import Snapshot
from xdpkit.lab import Lab
from xdpkit.ntp.local import local_state

pytestmark = pytest.mark.netns

ORIGIN, TRANSMIT = slice(24, 32), slice(40, 48)

FIELDS = {
    "header-only": b"",
    "one-field-16": field(0xABCD, 16),
    "one-field-24": field(0xABCD, 24),
    "one-field-28": SOUND_FIELD,
    "one-field-32": field(0xABCD, 32),
    "field-16-then-28": field(0xABCD, 16) + SOUND_FIELD,
    "field-28-then-16": SOUND_FIELD + field(0xABCD, 16),
    "four-fields": SOUND_FIELD * 4,
    "field-length-0": field(0xABCD, 0) + bytes(28),
    "field-length-12": field(0xABCD, 12) + bytes(28),
    "field-length-30": field(0xABCD, 30) + bytes(2),
    "field-beyond-end": field(0xABCD, 400)[:60],
    "fields-1024": field(0xABCD, 1024),
    "fields-1392": field(0xABCD, 1392),
    "nts-unique": NTS_UNIQUE,
    "mono-root": MONO_ROOT,
    "mono-root-wrong-magic": field(0xF323, 28, bytes(4)),
    "mono-root-then-field": MONO_ROOT + SOUND_FIELD,
    "key-1-digest-zero": b"\0\0\0\x01" + bytes(16),
    "key-1-digest-20": b"\0\0\0\x01" + bytes(20),
    "field-then-key": SOUND_FIELD + b"\0\0\0\x01" + bytes(16),
} | {f"zeros-{n}": bytes(n) for n in (4, 8, 12, 16, 20, 24, 28, 32, 36, 72)}

BODY = bytes(range(1, 40))

ROWS = (
    {f"v{v}-mode-{m}": ntp(v, m) for v, m in itertools.product(range(8), range(8))}
    | {f"leap-{leap}": ntp(leap=leap) for leap in (1, 2, 3)}
    | {f"v{v}-{name}": ntp(v, rest=rest) for v in (3, 4) for name, rest in FIELDS.items()}
    | {f"length-{n}": ntp()[:n] for n in (0, 1, 12, 47)}
    | {f"length-{48 + n}": ntp(rest=bytes(n)) for n in (1, 2, 3, 5, 30)}
    | {"any-header": ntp()[:1] + BODY + MARK, "poll-low": ntp()[:2] + b"\x80" + ntp()[3:]}
    | {"mode-1-v1": ntp(1, 1), "mode-1-with-field": ntp(4, 1, rest=SOUND_FIELD)}
)


class Chronyd:
    """A chronyd at the client's end; requests go to it from the server's namespace."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.marks = itertools.count(1)

    def answer(self, request: bytes, port: int = 0) -> bytes | None:
        """Its answer, or None: a good request sent behind this one was answered, this was not."""
        mark = struct.pack("!IQ", 0xFFFFFFFF, next(self.marks))[-8:]
        last = ntp()[:40] + mark
        with self.lab.server.entered():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with client:
            client.settimeout(PATIENCE)
            client.bind((self.lab.server.ipv4, port))
            client.connect((self.lab.client.ipv4, 123))
            client.send(request)
            client.send(last)
            first = client.recv(4096)
            if first[ORIGIN] == mark:
                return None
            assert client.recv(4096)[ORIGIN] == mark
            return first


@pytest.fixture(scope="module")
def reference(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chronyd]:
    with chronyd_server(lab.client, tmp_path_factory.mktemp("chronyd")):
        yield Chronyd(lab)


@pytest.fixture(scope="module")
def ours() -> Snapshot:
    return Snapshot({"ntp": 123}, ntp=local_state(8))


def compare(reference: Chronyd, ours: Snapshot, request: bytes, port: int = 0) -> None:
    """Same decision, same length, same first byte and origin."""
    theirs = reference.answer(request, port)
    verdict, reply = answer(ours, "ntp", request, source=("192.0.2.2", port or 40000))
    assert (theirs is None) == (reply is None), verdict
    if theirs is not None and reply is not None:
        assert len(reply) == len(theirs) <= len(request)
        assert reply[0] == theirs[0]
        assert reply[2] == theirs[2]
        assert reply[ORIGIN] == theirs[ORIGIN] == request[TRANSMIT]


@pytest.mark.parametrize("row", ROWS)
def test_same_decision_and_length(reference: Chronyd, ours: Snapshot, row: str) -> None:
    compare(reference, ours, ROWS[row])


def test_zero_transmit_timestamp(reference: Chronyd, ours: Snapshot) -> None:
    compare(reference, ours, ntp()[:1] + bytes(47))


@pytest.mark.parametrize("version", range(1, 5))
def test_source_port_123(reference: Chronyd, ours: Snapshot, version: int) -> None:
    for mode in (0, 1, 3):
        compare(reference, ours, ntp(version, mode), port=123)
