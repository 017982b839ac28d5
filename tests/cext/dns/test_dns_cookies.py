"""DNS cookies: the behavior of RFC 7873, the format of RFC 9018, and the underlying hash."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from c_programs import programs
from dns_bytes_call import HEAD, BytesCall
from dns_wire import NAME, OPT, SOA, asking, header, message, opt, option, options_of
from hypothesis import given
from hypothesis import strategies as st

CLIENT = bytes.fromhex("2464c4abcf10c957")
SECRETS = (bytes(range(16)), bytes(range(16, 32)))
NOW = 1_700_000_000
FIRST, SECOND = "192.0.2.1", "2001:db8::1"


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    big = "".join(f'big TXT "{i:03d}{"y" * 197}"\n' for i in range(8))
    zone = HEAD + "ns1 A 192.0.2.1\n" + big
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": zone}, cookie_secrets=SECRETS)


def cookie(
    call: BytesCall, sent: bytes = CLIENT, now: int = NOW, source: str = FIRST
) -> tuple[bytes, str]:
    """The cookie in a reply, and how the request's cookie was counted."""
    before = call.state.dns_counters()
    verdict, reply = call.send(asking(option(10, sent)), source, now)
    assert verdict == "dns_noerror" and reply is not None
    after = call.state.dns_counters()
    [counted] = [kind for kind in after if after[kind] > before[kind]]
    assert after[counted] == before[counted] + 1
    return options_of(reply)[10], counted.removeprefix("cookie_")


def test_siphash_matches_the_paper_and_openssl(tool: Callable[[str], str], tmp_path: Path) -> None:
    (program,) = programs("siphash_test")
    done = subprocess.run([program], check=True, capture_output=True, text=True)
    hashes = done.stdout.split()
    # Appendix A of the paper: 15 bytes.
    assert int.from_bytes(bytes.fromhex(hashes[15]), "little") == 0xA129CA6149BE45E5
    for length in (0, 1, 7, 8, 9, 20, 31, 32, 63, 64):
        digest = openssl_siphash(tool, tmp_path, bytes(range(16)), bytes(range(length)))
        assert digest.hex().upper() == hashes[length]


def openssl_siphash(tool: Callable[[str], str], directory: Path, key: bytes, data: bytes) -> bytes:
    """The same hash, by an independent implementation."""
    (directory / "data").write_bytes(data)
    options = ["-macopt", f"hexkey:{key.hex()}", "-macopt", "size:8"]
    command = [tool("openssl"), "mac", *options, "-in", str(directory / "data"), "SIPHASH"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return bytes.fromhex(done.stdout)


@pytest.mark.parametrize("version, counted", [(0, "bad"), (1, "valid"), (2, "bad"), (255, "bad")])
def test_versions(
    call: BytesCall, tool: Callable[[str], str], tmp_path: Path, version: int, counted: str
) -> None:
    """With a correct hash."""
    front = CLIENT + bytes([version, 0, 0, 0]) + struct.pack(">I", NOW)
    made = openssl_siphash(tool, tmp_path, SECRETS[1], front + bytes([192, 0, 2, 1]))
    assert cookie(call, front + made)[1] == counted


OLD, NEW = "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
ONE = "e5e973e5a6b2a43f48e7dc849e37bfcf"


@pytest.mark.parametrize("secrets, source, now, sent, reply, counted", [
    ([ONE], "198.51.100.100", 1559731985, "2464c4abcf10c957",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "client"),
    ([ONE], "198.51.100.100", 1559734385, "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", "valid"),
    ([ONE], "203.0.113.203", 1559727985, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
     None, "valid"),
    ([ONE], "203.0.113.203", 1559734700, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
     "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", "bad"),
    ([NEW, OLD], "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
     "22681ab97d52c298010000005cf7c609a6bb79d16625507a", "valid"),
])  # fmt: skip
def test_rfc_9018_appendix_a(
    tmp_path: Path,
    secrets: list[str],
    source: str,
    now: int,
    sent: str,
    reply: str | None,
    counted: str,
) -> None:
    call = BytesCall(
        tmp_path, {"z.example": HEAD}, cookie_secrets=tuple(bytes.fromhex(s) for s in secrets)
    )
    got, kind = cookie(call, bytes.fromhex(sent), now, source)
    assert kind == counted
    if reply is not None:
        assert got.hex() == reply
    # Our own reserved bytes are 0, whatever was received.
    assert got[8:12] == b"\1\0\0\0"


@pytest.mark.parametrize("source", [FIRST, SECOND])
@pytest.mark.parametrize("age, counted", [
    (-301, "bad"), (-300, "valid"), (0, "valid"), (1800, "valid"), (1801, "valid"),
    (3600, "valid"), (3601, "bad"), (1 << 31, "bad"),
])  # fmt: skip
@pytest.mark.parametrize("start", [NOW, 10, (1 << 32) - 1000])
def test_age(call: BytesCall, source: str, start: int, age: int, counted: str) -> None:
    made, _ = cookie(call, CLIENT, start - min(age, 0), source)
    got, kind = cookie(call, made, start + max(age, 0), source)
    assert kind == counted
    # The same one is returned until it is half an hour old; a new one is valid again.
    assert (got == made) == (counted == "valid" and age <= 1800)
    assert cookie(call, got, start + max(age, 0), source)[1] == "valid"


def test_a_cookie_is_bound_to_all_its_inputs(call: BytesCall) -> None:
    made, _ = cookie(call)
    assert cookie(call, made, source="192.0.2.2")[1] == "bad"
    assert cookie(call, made, source="2001:db8::1")[1] == "bad"
    for at in range(24):
        for bit in (0x01, 0x80):
            changed = bytearray(made)
            changed[at] ^= bit
            assert cookie(call, bytes(changed))[1] == "bad", at


def test_secrets_roll_over(tmp_path: Path) -> None:
    first, second, third = (bytes([n]) * 16 for n in range(3))
    call = BytesCall(tmp_path, {"z.example": HEAD}, cookie_secrets=(first,))
    made, _ = cookie(call)
    assert cookie(call, made) == (made, "valid")
    call.set(dns={"cookie_secrets": (second, first)})
    renewed, kind = cookie(call, made)
    assert kind == "valid" and renewed != made
    call.set(dns={"cookie_secrets": (third, second)})
    assert cookie(call, renewed)[1] == "valid"
    assert cookie(call, made)[1] == "bad"
    call.set(dns={})
    _, reply = call.send(asking(option(10, made)))
    assert reply is not None and reply.endswith(opt())


@pytest.mark.parametrize("length", [*range(0, 8), *range(9, 16), 41, 42, 100, 500])
def test_a_malformed_cookie_is_formerr(call: BytesCall, length: int) -> None:
    before = call.state.dns_counters()["cookie_malformed"]
    verdict, reply = call.send(asking(option(10, bytes(length))))
    assert verdict == "dns_formerr"
    assert reply == struct.pack(">6H", 0x1234, 0x8101, 0, 0, 0, 1) + opt()
    assert call.state.dns_counters()["cookie_malformed"] == before + 1


@pytest.mark.parametrize("length", [*range(16, 41)])
def test_foreign_server_cookies_are_replaced(call: BytesCall, length: int) -> None:
    got, kind = cookie(call, CLIENT + bytes(length - 8))
    assert kind == "bad" and got[:8] == CLIENT
    assert cookie(call, got) == (got, "valid")


def test_the_first_of_two_cookies_counts(call: BytesCall) -> None:
    other = bytes(8)
    _, reply = call.send(asking(option(10, CLIENT), option(10, other)), now_s=NOW)
    assert reply is not None and options_of(reply)[10] == cookie(call)[0]
    verdict, _ = call.send(asking(option(10, CLIENT), option(10, b"?")))
    assert verdict == "dns_noerror"


def ask_nothing(call: BytesCall, sent: bytes, *more: bytes) -> tuple[str, bytes]:
    request = message(opt(data=option(10, sent) + b"".join(more)), counts=(0, 0, 0, 1))
    verdict, reply = call.send(request, now_s=NOW)
    assert reply is not None
    return verdict, reply


def test_a_request_for_a_cookie_alone(call: BytesCall) -> None:
    """RFC 7873 section 5.4."""
    made, _ = cookie(call)
    bare = struct.pack(">6H", 0x1234, 0x8100, 0, 0, 0, 1) + opt(data=option(10, made))
    assert ask_nothing(call, CLIENT) == ("dns_cookie", bare)
    assert ask_nothing(call, made) == ("dns_cookie", bare)
    assert ask_nothing(call, CLIENT, option(100)) == ("dns_cookie", bare)
    # BADCOOKIE is 23: 7 in the header, 1 in the OPT.
    refused = struct.pack(">6H", 0x1234, 0x8107, 0, 0, 0, 1) + opt(high=1, data=option(10, made))
    assert ask_nothing(call, CLIENT + bytes(16)) == ("dns_badcookie", refused)
    assert ask_nothing(call, b"?")[0] == "dns_formerr"


@pytest.mark.parametrize("counts", [(0, 1, 0, 1), (0, 0, 1, 1)])
def test_a_cookie_does_not_excuse_other_sections(call: BytesCall, counts: tuple[int, ...]) -> None:
    body = b"\0\0\1" + bytes(8) + opt(data=option(10, CLIENT))
    assert call.send(message(body, counts=counts))[0] == "dns_formerr"


def test_errors_and_truncation_carry_the_cookie(call: BytesCall) -> None:
    made, _ = cookie(call)
    sent = option(10, CLIENT)
    requests = {
        "dns_refused": asking(sent, question=b"\1x\0\0\1\0\1"),
        "dns_nxdomain": asking(sent, question=b"\1x" + NAME + b"\0\1\0\1"),
        "dns_nodata": asking(sent, question=NAME + b"\0\1\0\1"),
        "dns_truncated": asking(sent, question=b"\3big" + NAME + b"\0\x10\0\1"),
        "dns_formerr": asking(sent)[:-12] + sent + b"\0",
    }
    for expected, request in requests.items():
        verdict, reply = call.send(request, now_s=NOW)
        assert verdict == expected and reply is not None
        assert options_of(reply)[10] == made
    # Options of another EDNS version are not parsed, so none are sent.
    verdict, reply = call.send(message(SOA + opt(version=1, data=sent), counts=(1, 0, 0, 1)))
    assert verdict == "dns_badvers" and reply is not None and options_of(reply) == {}


def test_without_edns_there_is_no_cookie(call: BytesCall) -> None:
    _, reply = call.send(message())
    assert reply is not None and header(reply)[5] == 0
    _, reply = call.send(message(SOA + OPT, counts=(1, 0, 0, 1)))
    assert reply is not None and reply.endswith(opt())


@given(st.binary(min_size=16, max_size=16), st.integers(0, (1 << 32) - 1), st.ip_addresses())
def test_what_was_made_is_accepted(
    call: BytesCall, secret: bytes, now: int, address: object
) -> None:
    """By every server that has the secret, and no other."""
    source = str(address)
    if answerable(source):
        call.set(dns={"cookie_secrets": (secret,)})
        made, kind = cookie(call, CLIENT, now, source)
        assert (kind, made[:8]) == ("client", CLIENT)
        assert struct.unpack(">I", made[12:16]) == (now,)
        call.set(dns={"cookie_secrets": (b"another secret!!", secret)})
        assert cookie(call, made, now, source)[1] == "valid"
        call.set(dns={"cookie_secrets": (bytes(16 - 1) + b"?",)})
        assert cookie(call, made, now, source)[1] == "bad"
    call.set(dns={"cookie_secrets": SECRETS})


def answerable(source: str) -> bool:
    """Not multicast or "this" network, nor IPv4-mapped or IPv4-compatible."""
    if ":" not in source:
        return 0 < int(source.partition(".")[0]) < 224
    return source[:2] != "ff" and not source.startswith("::")
