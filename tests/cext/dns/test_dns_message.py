"""Messages that are malformed, not for us to answer, or arbitrary bytes."""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.rcode
import pytest
from dns_bytes_call import SIZES, BytesCall
from dns_wire import NAME, OPT, SOA, TSIG, header, message, opt, option
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": SIZES})


@pytest.mark.parametrize("length", range(12))
def test_no_whole_header_no_reply(call: BytesCall, length: int) -> None:
    assert call.send(message()[:length]) == ("dns_short", None)


@pytest.mark.parametrize("flags", [0x8000, 0x8100, 0xFFFF, 0xA000])
def test_responses_are_never_answered(call: BytesCall, flags: int) -> None:
    assert call.send(message(flags=flags)) == ("dns_response", None)


@pytest.mark.parametrize("room", [100, 511])
def test_no_room_for_the_smallest_reply(call: BytesCall, room: int) -> None:
    assert call.send(message(), room=room) == ("dns_no_room", None)
    assert call.send(message(), room=512)[1]


@pytest.mark.parametrize("opcode", range(1, 16))
@pytest.mark.parametrize("rest", [0, 0x07FF])
@pytest.mark.parametrize("body", [b"", SOA + OPT])
def test_other_opcodes(call: BytesCall, opcode: int, rest: int, body: bytes) -> None:
    counts = (1, 0, 0, 1) if body else (0, 0, 0, 0)
    verdict, reply = call.send(message(body, opcode << 11 | rest, counts))
    assert verdict == "dns_notimp"
    assert reply == struct.pack(">6H", 0x1234, 0x8004 | opcode << 11, 0, 0, 0, 0)


FORMERR = {
    "no question": message(b"", counts=(0, 0, 0, 0)),
    "a record but no question": message(b"\0\0\1" + bytes(8), counts=(0, 0, 0, 1)),
    "two questions": message(SOA + SOA, counts=(2, 0, 0, 0)),
    "an answer": message(counts=(1, 1, 0, 0)),
    "an authority": message(counts=(1, 0, 1, 0)),
    "65535 of all": message(counts=(0xFFFF,) * 4),
    "question missing": message(b""),
    "name cut in a label": message(b"\x07exam"),
    "name without its end": message(b"\x01z\x07example"),
    "no type": message(NAME),
    "type cut": message(NAME + b"\0"),
    "no class": message(NAME + b"\0\6"),
    "class cut": message(NAME + b"\0\6\0"),
    "pointer to itself": message(b"\xc0\x0c\0\6\0\1"),
    "pointer after a label": message(b"\x01z\xc0\x0c\0\6\0\1"),
    "pointer into the header": message(b"\x01z\xc0\x00\0\6\0\1"),
    "label of type 01": message(b"\x41" + b"a" * 65 + b"\0\0\6\0\1"),
    "label of type 10": message(b"\x80" + b"a" * 128 + b"\0\0\6\0\1"),
    "label of 64": message(b"\x40" + b"a" * 64 + b"\0\0\6\0\1"),
    "name of 256": message((b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0" + b"\0\6\0\1"),
    "name of 300": message((b"\x01a") * 149 + b"\0" + b"\0\6\0\1"),
    "junk after the question": message(SOA + b"\0"),
    "additional missing": message(SOA, counts=(1, 0, 0, 1)),
    "additional cut": message(SOA + OPT[:-1], counts=(1, 0, 0, 1)),
    "additional owner cut": message(SOA + b"\x05ab", counts=(1, 0, 0, 1)),
    "additional owner a half pointer": message(SOA + b"\xc0", counts=(1, 0, 0, 1)),
    "additional owner of type 01": message(SOA + b"\x41" + b"a" * 80, counts=(1, 0, 0, 1)),
    "additional RDLENGTH lies": message(SOA + b"\0\0\1\0\1\0\0\0\0\0\5abcd", counts=(1, 0, 0, 1)),
    "65535 additional records": message(SOA + b"\0\0\1" + bytes(8), counts=(1, 0, 0, 0xFFFF)),
    "OPT with an owner": message(SOA + b"\1a" + OPT, counts=(1, 0, 0, 1)),
    "OPT with a pointer to the root": message(SOA + b"\xc0\x15" + OPT[1:], counts=(1, 0, 0, 1)),
    "OPT RDLENGTH lies": message(SOA + OPT[:-2] + b"\0\4", counts=(1, 0, 0, 1)),
    "option header cut": message(SOA + opt(data=b"\0\x0a\0"), counts=(1, 0, 0, 1)),
    "option overruns": message(SOA + opt(data=b"\0\x0a\0\x09cookies!"), counts=(1, 0, 0, 1)),
    "second option overruns": message(
        SOA + opt(data=option(3) + b"\0\1\xff\xff"), counts=(1, 0, 0, 1)
    ),
}


@pytest.mark.parametrize("case", FORMERR)
def test_formerr_is_a_bare_header(call: BytesCall, case: str) -> None:
    verdict, reply = call.send(FORMERR[case])
    assert verdict == "dns_formerr"
    assert reply == struct.pack(">6H", 0x1234, 0x8101, 0, 0, 0, 0)


@pytest.mark.parametrize("flags", [0, 0x0100, 0x0010, 0x07F0])
def test_formerr_copies_rd_and_cd_only(call: BytesCall, flags: int) -> None:
    _, reply = call.send(message(b"", flags))
    assert reply is not None and header(reply)[1] == 0x8001 | flags & 0x0110


def test_no_question_in_another_edns_version(call: BytesCall) -> None:
    verdict, reply = call.send(message(opt(version=1), counts=(0, 0, 0, 1)))
    assert verdict == "dns_badvers"
    assert reply == struct.pack(">6H", 0x1234, 0x8100, 0, 0, 0, 1) + opt(high=1)


def test_no_question_and_no_cookie(call: BytesCall) -> None:
    verdict, reply = call.send(message(OPT, counts=(0, 0, 0, 1)))
    assert verdict == "dns_formerr"
    assert reply == struct.pack(">6H", 0x1234, 0x8101, 0, 0, 0, 1) + opt(1232)


@pytest.mark.parametrize("tail", [OPT, b"\0", b"\1a" + OPT])
def test_formerr_has_an_opt_if_the_request_had_a_valid_one(call: BytesCall, tail: bytes) -> None:
    additional = 2 if len(tail) > 1 else 1
    request = message(SOA + opt(4096, flags=0x8000) + tail, counts=(1, 0, 0, additional))
    verdict, reply = call.send(request)
    assert verdict == "dns_formerr"
    assert reply == struct.pack(">6H", 0x1234, 0x8101, 0, 0, 0, 1) + opt(1232, flags=0x8000)


def test_names_of_255_bytes_are_well_formed(call: BytesCall) -> None:
    front = 255 - len(b"\4wild" + NAME)
    whole, rest = divmod(front, 64)
    name = (b"\x3f" + b"q" * 63) * whole + bytes([rest - 1]) + b"q" * (rest - 1) + b"\4wild" + NAME
    assert len(name) == 255
    verdict, reply = call.send(message(name + b"\0\1\0\1"))
    assert verdict == "dns_noerror" and reply is not None
    assert dns.message.from_wire(reply).answer[0].name.to_wire() == name
    verdict, reply = call.send(message(name + b"\0\x1c\0\1"))
    assert verdict == "dns_nodata" and reply is not None
    assert dns.message.from_wire(reply).authority[0].name.to_text() == "z.example."
    many = b"\1q" * ((255 - len(NAME)) // 2) + NAME
    verdict, reply = call.send(message(many + b"\0\1\0\1"))
    assert verdict == "dns_nxdomain" and reply is not None
    assert dns.message.from_wire(reply).authority[0].name.to_text() == "z.example."


pieces = st.sampled_from(
    [SOA, NAME, OPT, TSIG, opt(version=1), opt(data=option(10, b"x")), b"\xc0\x0c", b"\0"]
    + [opt(data=option(10, bytes(n)) + option(3) + option(8, b"\0\1\0\0")) for n in (8, 24, 40)]
    + [b"\7version\4bind\0\0\x10\0\3"]
)
bodies = st.lists(st.one_of(pieces, st.binary(max_size=40)), max_size=6).map(b"".join)
small = st.integers(0, 3)
requests = st.one_of(
    st.binary(max_size=600),
    st.builds(message, bodies, st.integers(0, 0x7FFF), st.tuples(small, small, small, small)),
    st.builds(
        message, bodies, st.just(0x0100), st.tuples(st.just(1), st.just(0), st.just(0), small)
    ),
)


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    """With all optional information turned on, at its maximum length."""
    dns_settings = {"nsid": b"n" * 128, "version": b"v" * 255, "cookie_secrets": (b"s" * 16,)}
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": SIZES}, **dns_settings)


@settings(max_examples=600, deadline=None)
@given(requests, st.booleans())
def test_arbitrary_bytes_get_a_sound_reply_or_none(
    call: BytesCall, talkative: BytesCall, request: bytes, full: bool
) -> None:
    verdict, reply = (talkative if full else call).send(request)
    if reply is None:
        assert verdict == ("dns_short" if len(request) < 12 else "dns_response")
        return
    assert reply[:2] == request[:2] and reply[2] & 0x80
    assert len(reply) <= (1232 if reply.endswith(opt()[5:]) or b"\0\x29" in request else 512)
    parsed = dns.message.from_wire(reply)  # raises on trailing junk, bad pointers, wrong counts
    assert parsed.edns <= 0
    if verdict in ("dns_formerr", "dns_notimp", "dns_cookie", "dns_badcookie"):
        assert not parsed.question
    else:
        # Only another EDNS version is refused before the missing question is noticed.
        assert len(parsed.question) == (header(request)[2] if verdict == "dns_badvers" else 1)
