"""Header flags, EDNS and size of the replies to well-formed questions.

These include the UDP queries of RFC 8906 section 8, and what ISC's genreport requires of replies.
"""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns_bytes_call import HEAD, SIZES, BytesCall
from dns_wire import NAME, OPT, SOA, extended_error, header, message, opt, option


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": SIZES})


@pytest.mark.parametrize("bit", [0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010])
def test_header_flags_one_by_one(call: BytesCall, bit: int) -> None:
    verdict, reply = call.send(message(flags=bit))
    assert verdict == "dns_noerror" and reply is not None
    assert header(reply)[1] == 0x8400 | bit & 0x0110  # QR, AA; RD and CD copied


@pytest.mark.parametrize("flags", [0, 0x8000, 0x0080, 0x8080, 0xFFFF, 0x7FFF])
def test_edns_do_is_copied_and_no_other_flag(call: BytesCall, flags: int) -> None:
    verdict, reply = call.send(message(SOA + opt(flags=flags), counts=(1, 0, 0, 1)))
    assert verdict == "dns_noerror" and reply is not None
    assert reply.endswith(opt(1232, flags=flags & 0x8000)) and header(reply)[5] == 1


OPTIONS = [option(100), option(3), option(8, b"\0\1\0\0"), option(9), option(10, b"8 bytes!")]


@pytest.mark.parametrize("data", [*OPTIONS, b"".join(OPTIONS)])
@pytest.mark.parametrize("version", [0, 1, 255])
def test_options_are_never_echoed(call: BytesCall, data: bytes, version: int) -> None:
    verdict, reply = call.send(message(SOA + opt(version=version, data=data), counts=(1, 0, 0, 1)))
    assert reply is not None
    assert reply.endswith(opt(1232, high=1 if version else 0))
    assert verdict == ("dns_badvers" if version else "dns_noerror")


@pytest.mark.parametrize("flags", [0, 0x8000])
def test_badvers(call: BytesCall, flags: int) -> None:
    request = message(SOA + opt(version=1, flags=flags), flags=0x0110, counts=(1, 0, 0, 1))
    _, reply = call.send(request)
    assert reply == struct.pack(">6H", 0x1234, 0x8110, 1, 0, 0, 1) + SOA + opt(1232, 1, 0, flags)


def test_options_of_another_edns_version_are_not_validated(call: BytesCall) -> None:
    verdict, _ = call.send(message(SOA + opt(version=1, data=b"?"), counts=(1, 0, 0, 1)))
    assert verdict == "dns_badvers"


# SIG(0), RFC 2931: not verified, and not asked for.
OTHER = b"\0" + struct.pack("!HHIH", 24, 255, 0, 4) + b"\0\0\x08\0"


@pytest.mark.parametrize(
    "front, back", [(b"", OTHER), (OPT, OTHER), (OTHER, OPT), (b"\xc0\x0c" + OTHER[1:], b"")]
)
def test_other_additional_records_are_skipped(call: BytesCall, front: bytes, back: bytes) -> None:
    records = bool(front) + bool(back)
    verdict, reply = call.send(message(SOA + front + back, counts=(1, 0, 0, records)))
    assert verdict == "dns_noerror" and reply is not None
    assert header(reply)[5] == int(OPT in (front, back))


@pytest.mark.parametrize("rdtype", [41, 128, 249, 250, 251, 252, 253, 254])
def test_meta_types_are_refused(call: BytesCall, rdtype: int) -> None:
    question = NAME + struct.pack(">HH", rdtype, 1)
    verdict, reply = call.send(message(question))
    assert verdict == "dns_refused"
    assert reply == struct.pack(">6H", 0x1234, 0x8105, 1, 0, 0, 0) + question


@pytest.mark.parametrize("rdclass", [0, 2, 3, 4, 254, 255, 65535])
def test_other_classes_are_refused(call: BytesCall, rdclass: int) -> None:
    question = NAME + struct.pack(">HH", 6, rdclass)
    verdict, reply = call.send(message(question + OPT, counts=(1, 0, 0, 1)))
    assert verdict == "dns_refused"
    tail = opt(1232, data=extended_error(21))
    assert reply == struct.pack(">6H", 0x1234, 0x8105, 1, 0, 0, 1) + question + tail


@pytest.mark.parametrize("name", [b"\0", b"\7example\0", b"\2zz\7example\0", b"\1z\6exampl\0"])
def test_out_of_zone_is_refused(call: BytesCall, name: bytes) -> None:
    verdict, reply = call.send(message(name + b"\0\6\0\1"))
    assert verdict == "dns_refused" and reply is not None and header(reply)[1] == 0x8105
    _, reply = call.send(message(name + b"\0\6\0\1" + OPT, counts=(1, 0, 0, 1)))
    assert reply is not None and reply.endswith(opt(1232, data=extended_error(20)))


@pytest.mark.parametrize(
    "rdtype", [*range(1, 41), *range(42, 128), 256, 257, 666, 1000, 65280, 65535]
)
def test_every_data_type_has_an_answer(call: BytesCall, rdtype: int) -> None:
    verdict, reply = call.send(message(NAME + struct.pack(">HH", rdtype, 1)))
    assert verdict == ("dns_noerror" if rdtype in (2, 6) else "dns_nodata")
    assert reply is not None and header(reply)[1] == 0x8500


def reply_size(name: str, text: int) -> int:
    """For a TXT of two strings, without OPT: header, question, owner, fixed part, two strings."""
    return 12 + len(name) + 2 + len(b"\1z\7example") + 4 + 2 + 10 + text + 2


@pytest.mark.parametrize("text", [250, 300, 450])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_the_limit_is_exact(call: BytesCall, text: int, step: int) -> None:
    name = f"size{text}"
    size = reply_size(name, text)
    assert call.ask(f"{name}.z.example", "TXT", use_edns=-1).size == size
    limit = max(size + 11, 512) + step
    reply = call.ask(f"{name}.z.example", "TXT", use_edns=0, payload=limit)
    if size + 11 <= limit or size + 11 <= 512:
        assert reply.size == size + 11 and not reply.flags & dns.flags.TC and reply.answer
    else:
        assert reply.flags & dns.flags.TC and not reply.answer and reply.edns == 0
        assert reply.verdict == "dns_truncated"


def exact_zone(want: int, edns: bool) -> str:
    """A zone whose `t TXT` reply has `want` bytes."""
    room = want - (12 + len(b"\1t\1z\7example\0") + 4 + 12) - 11 * edns
    whole, rest = divmod(room, 256)
    strings = ["x" * 255] * whole + ["x" * (rest - 1)] * bool(rest)
    return HEAD + "t TXT " + " ".join(f'"{s}"' for s in strings) + "\n"


@pytest.mark.parametrize("size, payload, whole", [
    (512, None, True), (513, None, False),
    (512, 0, True), (513, 0, False), (512, 512, True), (513, 512, False), (513, 513, True),
    (1232, 1232, True), (1233, 1232, False), (1232, 65535, True), (1233, 65535, False),
    (1231, 1231, True), (1232, 1231, False),
])  # fmt: skip
def test_sizes_at_512_and_1232(tmp_path, size: int, payload: int | None, whole: bool) -> None:
    call = BytesCall(tmp_path, {"z.example": exact_zone(size, payload is not None)})
    question = b"\1t" + NAME + b"\0\x10\0\1"
    if payload is None:
        _, reply = call.send(message(question))
    else:
        _, reply = call.send(message(question + opt(payload), counts=(1, 0, 0, 1)))
    assert reply is not None
    if whole:
        assert len(reply) == size and not header(reply)[1] & 0x0200 and header(reply)[3] == 1
    else:
        tail = b"" if payload is None else opt(1232)
        assert (
            reply == struct.pack(">6H", 0x1234, 0x8700, 1, 0, 0, len(tail) and 1) + question + tail
        )


def test_a_truncated_denial_keeps_its_rcode(tmp_path) -> None:
    long = ".".join(["r" * 63] * 3 + ["r" * 40])
    head = f"$TTL 300\n@ SOA {long}. {long[::-1]}. 1 2 3 4 5\n@ NS ns.test.\n"
    call = BytesCall(tmp_path, {"z.example": head})
    reply = call.ask("nothing.z.example", "A", use_edns=-1)
    assert (
        reply.flags & dns.flags.TC and reply.rcode() == dns.rcode.NXDOMAIN and not reply.authority
    )
