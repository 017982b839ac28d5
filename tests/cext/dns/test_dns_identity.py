"""What the server reveals about itself: NSID, class CHAOS; client subnets; limits by family."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_wire import NAME, OPT, SOA, asking, extended_error, message, opt, option, options_of

from xdpkit._core._snapshot import Snapshot

NSID, COOKIE, SUBNET = 3, 10, 8
NAMES = {
    b"\7version\4bind\0": b"xdpkit 9",
    b"\7version\6server\0": b"xdpkit 9",
    b"\x08hostname\4bind\0": b"ns1.example",
    b"\2id\6server\0": b"one",
}
TEXTS = {"version": b"xdpkit 9", "hostname": b"ns1.example", "id": b"one"}


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    return BytesCall(
        tmp_path_factory.mktemp("zones"), {"z.example": HEAD}, nsid=b"ns\0\xff", **TEXTS
    )


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": HEAD})


def test_nsid_is_sent_on_request(call: BytesCall) -> None:
    _, reply = call.send(asking(option(NSID)))
    assert reply is not None and reply.endswith(opt(data=option(NSID, b"ns\0\xff")))
    _, reply = call.send(asking(option(NSID), option(NSID)))
    assert reply is not None and options_of(reply) == {NSID: b"ns\0\xff"}
    _, reply = call.send(asking(option(100)))
    assert reply is not None and reply.endswith(opt())


def test_nsid_is_in_errors_too(call: BytesCall) -> None:
    for question, verdict in (
        (b"\1x\0\0\1\0\1", "dns_refused"),
        (NAME + b"\0\1\0\4", "dns_refused"),
    ):
        got, reply = call.send(asking(option(NSID), question=question))
        assert got == verdict and reply is not None
        assert options_of(reply)[NSID] == b"ns\0\xff"


def test_nsid_is_off_unless_configured(silent: BytesCall) -> None:
    _, reply = silent.send(asking(option(NSID)))
    assert reply is not None and reply.endswith(opt())


@pytest.mark.parametrize("rdtype", [16, 255])
@pytest.mark.parametrize("edns", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_chaos(call: BytesCall, name: bytes, rdtype: int, edns: bool) -> None:
    question = name.upper() + struct.pack(">HH", rdtype, 3)
    request = message(question + OPT * edns, 0x0110, counts=(1, 0, 0, int(edns)))
    verdict, reply = call.send(request)
    text = NAMES[name]
    record = struct.pack(">HHHIHB", 0xC00C, 16, 3, 0, len(text) + 1, len(text)) + text
    assert verdict == "dns_chaos"
    assert reply == struct.pack(">6H", 0x1234, 0x8510, 1, 1, 0, int(edns)) + question + record + (
        opt() * edns
    )


@pytest.mark.parametrize("question", [
    b"\7version\4bind\0\0\1\0\3", b"\7version\4bind\0\0\6\0\3", b"\7version\0\0\x10\0\3",
    b"\7version\4bind\4bind\0\0\x10\0\3", b"\0\0\x10\0\3", b"\7authors\4bind\0\0\x10\0\3",
    NAME + b"\0\6\0\3",
])  # fmt: skip
def test_other_questions_in_class_chaos_are_refused(call: BytesCall, question: bytes) -> None:
    verdict, reply = call.send(message(question + OPT, counts=(1, 0, 0, 1)))
    assert verdict == "dns_refused"
    tail = question + opt(data=extended_error(21))
    assert reply == struct.pack(">6H", 0x1234, 0x8105, 1, 0, 0, 1) + tail


@pytest.mark.parametrize("name", NAMES)
def test_chaos_is_off_unless_configured(silent: BytesCall, name: bytes) -> None:
    verdict, reply = silent.send(message(name + b"\0\x10\0\3"))
    assert verdict == "dns_refused"
    assert reply == struct.pack(">6H", 0x1234, 0x8105, 1, 0, 0, 0) + name + b"\0\x10\0\3"


def test_the_names_are_in_class_chaos_only(call: BytesCall) -> None:
    assert call.send(message(b"\7version\4bind\0\0\x10\0\1"))[0] == "dns_refused"


def test_the_longest_of_all_fits_512_bytes(tmp_path: Path) -> None:
    call = BytesCall(
        tmp_path,
        {"z.example": HEAD},
        nsid=b"n" * 128,
        version=b"v" * 255,
        cookie_secrets=(bytes(16),),
    )
    options = (option(NSID), option(COOKIE, bytes(8)))
    question = b"\7version\6server\0\0\x10\0\3"
    _, reply = call.send(asking(*options, question=question, size=512))
    assert reply is not None and len(reply) <= 512
    parsed = dns.message.from_wire(reply)
    assert parsed.answer and len(parsed.options) == 2
    # The longest name, each option, and an extended error.
    name = (b"\x3f" + b"q" * 63) * 3 + b"\x3d" + b"q" * 61 + b"\0"
    assert len(name) == 255
    verdict, reply = call.send(asking(*options, question=name + b"\0\1\0\1", size=512))
    assert verdict == "dns_refused" and reply is not None and len(reply) <= 512
    assert set(options_of(reply)) == {NSID, COOKIE, 15}


@pytest.mark.parametrize("more", [{}, {"nsid": b"n" * 100}, {"cookie_secrets": (bytes(16),)}])
@pytest.mark.parametrize("step", [0, 1])
def test_options_count_toward_the_limit(tmp_path: Path, more: dict[str, Any], step: int) -> None:
    """A reply of exactly the limit is complete; one byte more is truncated, with its options."""
    options = option(NSID) * ("nsid" in more) + option(COOKIE, bytes(8)) * (
        "cookie_secrets" in more
    )
    extra = 104 * ("nsid" in more) + 28 * ("cookie_secrets" in more)
    room = 600 + step - 12 - len(b"\1t" + NAME) - 4 - 12 - 11 - extra
    whole, rest = divmod(room, 256)
    assert rest > 1
    text = " ".join(['"' + "x" * 255 + '"'] * whole + ['"' + "x" * (rest - 1) + '"'])
    call = BytesCall(tmp_path, {"z.example": f"{HEAD}t TXT {text}\n"}, **more)
    verdict, reply = call.send(asking(options, question=b"\1t" + NAME + b"\0\x10\0\1", size=600))
    assert reply is not None
    assert verdict == ("dns_truncated" if step else "dns_noerror")
    assert step or len(reply) == 600
    assert len(options_of(reply)) == len(more)


def subnet(family: int, source: int, scope: int, address: bytes) -> bytes:
    return option(SUBNET, struct.pack(">HBB", family, source, scope) + address)


@pytest.mark.parametrize("sound", [
    subnet(1, 0, 0, b""), subnet(1, 24, 0, b"\xc0\0\2"), subnet(1, 32, 0, b"\xc0\0\2\1"),
    subnet(1, 20, 0, b"\xc0\0\xf0"), subnet(1, 1, 0, b"\x80"), subnet(2, 0, 0, b""),
    subnet(2, 56, 0, bytes(7)), subnet(2, 128, 0, b"\xff" * 16), subnet(2, 127, 0, b"\xfe" * 16),
    subnet(0, 0, 0, b""),
])  # fmt: skip
def test_sound_client_subnets_are_ignored(call: BytesCall, sound: bytes) -> None:
    verdict, reply = call.send(asking(sound))
    assert verdict == "dns_noerror" and reply is not None and options_of(reply) == {}


@pytest.mark.parametrize("broken", [
    option(SUBNET), option(SUBNET, b"\0\1\0"), subnet(3, 0, 0, b""), subnet(65535, 8, 0, b"\1"),
    subnet(0, 8, 0, b"\1"), subnet(1, 33, 0, bytes(5)), subnet(2, 129, 0, bytes(17)),
    subnet(1, 24, 0, b"\xc0\0"), subnet(1, 24, 0, b"\xc0\0\2\0"), subnet(1, 0, 0, b"\0"),
    subnet(1, 20, 0, b"\xc0\0\xf8"), subnet(1, 31, 0, b"\xc0\0\2\1"), subnet(2, 1, 0, b"\x40"),
    subnet(2, 127, 0, b"\xff" * 16), subnet(1, 24, 24, b"\xc0\0\2"), subnet(2, 0, 1, b""),
])  # fmt: skip
@pytest.mark.parametrize("position", [0, 1])
def test_broken_client_subnets_are_formerr(call: BytesCall, broken: bytes, position: int) -> None:
    options = [option(100, b"?")]
    options.insert(position, broken)
    verdict, reply = call.send(asking(*options))
    assert verdict == "dns_formerr"
    assert reply == struct.pack(">6H", 0x1234, 0x8101, 0, 0, 0, 1) + opt()


@pytest.mark.parametrize("payload", [512, 700, 1000, 1232, 4096])
def test_the_limit_of_each_family(tmp_path: Path, payload: int) -> None:
    big = "".join(f't{n} TXT "{"x" * 255}" "{"x" * 255}" "{"x" * (n - 516)}"\n' for n in (680, 770))
    limits = {"192.0.2.1": 700, "2001:db8::1": 800}
    call = BytesCall(tmp_path, {"z.example": HEAD + big}, max_udp_ipv4=700, max_udp_ipv6=800)
    for source, limit in limits.items():
        for size in (680, 770):
            question = b"\4t" + str(size).encode() + NAME + b"\0\x10\0\1"
            verdict, reply = call.send(asking(question=question, size=payload), source)
            assert reply is not None
            # The size in our OPT is what we accept: the same.
            assert reply.endswith(opt(limit))
            fits = size + 60 <= min(limit, max(payload, 512))
            assert (verdict == "dns_noerror") == fits and len(reply) <= limit


@pytest.mark.parametrize("wrong", [
    {"nsid": bytes(129)}, {"version": bytes(256)}, {"hostname": bytes(256)}, {"id": bytes(300)},
    {"report_agent": bytes(256)},
    {"cookie_secrets": (bytes(15),)}, {"cookie_secrets": (bytes(16),) * 3},
])  # fmt: skip
def test_settings_that_do_not_fit(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fit"):
        Snapshot({"ntp": 123}, dns=wrong)


def test_the_question_is_intact_with_all_flags(call: BytesCall) -> None:
    _, reply = call.send(asking(option(NSID), flags=0xFFFF))
    assert reply is not None
    parsed = dns.message.from_wire(reply)
    assert parsed.ednsflags == dns.flags.DO and len(parsed.question) == 1
    assert reply[12 : 12 + len(SOA)] == SOA
