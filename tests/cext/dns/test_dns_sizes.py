"""Replies of exact sizes: what is left out first, and where TC begins."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype as t
import pytest
from dns_bytes_call import HEAD, BytesCall, lines
from dns_fake_signer import fake_signed

LIMITS = [512, 1220, 1232, 1452, 4096]


def text_of(room: int) -> str:
    """TXT data of exactly ``room`` bytes."""
    whole, rest = divmod(room, 256)
    strings = ["x" * 255] * whole + ["x" * (rest - 1)] * bool(rest)
    return " ".join(f'"{string}"' for string in strings)


def of_size(directory: Path, text: str, name: str, rdtype: str, want: int) -> BytesCall:
    """A bytes call whose full reply to a question has ``want`` bytes, padded by a TXT record.

    `text` has {fill} where the strings of the TXT go.
    """
    probe = BytesCall(directory, {"z.example": text.format(fill=text_of(100))}, max_udp=4096)
    have = probe.ask(name, rdtype, payload=4096).size
    return BytesCall(
        directory, {"z.example": text.format(fill=text_of(100 + want - have))}, max_udp=4096
    )


def around(*sizes: int) -> list[int]:
    """The limits next to some sizes, and next to the smallest and largest that clients can set."""
    return [
        n for size in (512, *sizes, 4096) for n in range(size - 2, size + 3) if 512 <= n <= 4096
    ]


ANSWER = HEAD + "t TXT {fill}\n"


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_an_answer(tmp_path: Path, limit: int, over: int) -> None:
    call = of_size(tmp_path, ANSWER, "t.z.example", "TXT", limit + over)
    reply = call.ask("t.z.example", "TXT", payload=limit)
    assert bool(reply.flags & dns.flags.TC) == (over > 0) == (reply.verdict == "dns_truncated")
    assert reply.size == (limit + over if over <= 0 else 12 + 17 + 11)


# Each MX record brings one host with one address, which is optional.
def hosts(count: int) -> str:
    return "".join(f"mx MX 1 h{i:03}\nh{i:03} A 192.0.2.{i % 250}\n" for i in range(count))


@pytest.mark.parametrize("limit, count", [(512, 10), (512, 17), (1232, 30), (1232, 70), (4096, 90)])
def test_optional_addresses_go_before_tc(tmp_path: Path, limit: int, count: int) -> None:
    call = BytesCall(tmp_path, {"z.example": HEAD + hosts(count)}, max_udp=4096)
    full = 12 + len(b"\2mx\1z\7example\0") + 4 + count * (12 + 2 + 5 + 2 + 16) + 11
    trimmed = full - count * 16
    assert call.ask("mx.z.example", "MX", payload=4096).size == full
    for payload in around(trimmed, full):
        reply = call.ask("mx.z.example", "MX", payload=payload)
        truncated = payload < trimmed
        assert bool(reply.flags & dns.flags.TC) == truncated
        assert len(lines(reply.answer)) == (0 if truncated else count)
        assert len(lines(reply.additional)) == (count if payload >= full else 0)
        assert reply.size <= payload and reply.edns == 0


@pytest.mark.parametrize("glue, siblings", [(4, 0), (6, 5), (0, 12), (30, 1)])
@pytest.mark.parametrize("name", ["sub.z.example", "x.a-longer-name.sub.z.example"])
def test_required_glue(tmp_path: Path, glue: int, siblings: int, name: str) -> None:
    text = HEAD + "".join(
        f"sub NS ns-{i:02}.{cut}\nns-{i:02}.{cut} AAAA 2001:db8::{i}\n"
        for cut, count in (("sub", glue), ("sib", siblings))
        for i in range(count)
    )
    text += "sib NS ns1\n" * bool(siblings)
    call = BytesCall(tmp_path, {"z.example": text}, max_udp=4096)
    full = call.ask(name, "A", payload=4096)
    trimmed = full.size - 28 * siblings
    least = trimmed - 28 * glue
    for payload in around(least, trimmed, full.size):
        reply = call.ask(name, "A", payload=payload)
        wanted = full.size if payload >= full.size else trimmed if payload >= trimmed else least
        if least <= payload < trimmed:
            # As many as fit: test_dns_referral_sizes.py.
            wanted += (payload - least) // 28 * 28
        assert bool(reply.flags & dns.flags.TC) == (payload < trimmed)
        assert reply.size == (wanted if payload >= wanted else 12 + len(name) + 2 + 4 + 11)
        if payload >= wanted:
            assert len(lines(reply.authority)) == glue + siblings
            assert {rrset.name.to_text() for rrset in reply.additional} == {
                rrset.name.to_text()
                for rrset in full.additional
                if payload >= full.size or (payload >= trimmed and ".sub." in rrset.name.to_text())
            } or least <= payload < trimmed
    assert (least > 512) == (glue > 20), (
        "exactly one of the zones has more servers than 512 bytes hold"
    )


@pytest.mark.parametrize("nsec3", [False, True])
@pytest.mark.parametrize("signature", [80, 160, 512])
@pytest.mark.parametrize("name", ["a.z.example", "q.z.example", "q.w.z.example", "x.dn.z.example"])
def test_proofs_are_whole_or_tc(tmp_path: Path, nsec3: bool, signature: int, name: str) -> None:
    """Every limit around the size of the reply, for signatures of different lengths."""
    plain = HEAD + "a A 192.0.2.1\n*.w A 192.0.2.2\ndn DNAME w\n"
    text = fake_signed(plain, "z.example", nsec3).replace(" AAAA\n", f" {'A' * signature}\n")
    call = BytesCall(tmp_path, {"z.example": text}, max_udp=4096)
    full = call.ask(name, "A", want_dnssec=True, payload=4096)
    assert any(rrset.rdtype == t.RRSIG for rrset in (*full.authority, *full.answer))
    for payload in around(full.size):
        reply = call.ask(name, "A", want_dnssec=True, payload=payload)
        assert bool(reply.flags & dns.flags.TC) == (payload < full.size)
        assert reply.rcode() == full.rcode() and reply.size <= payload
        if payload >= full.size:
            assert reply.authority == full.authority and reply.answer == full.answer
        else:
            assert not reply.answer and not reply.authority


@pytest.mark.parametrize("nsec3", [False, True])
@pytest.mark.parametrize("count", [4, 8, 12])
def test_optional_addresses_go_before_proofs(tmp_path: Path, nsec3: bool, count: int) -> None:
    """For a wildcard's records, where the proof precedes the addresses."""
    plain = HEAD + "".join(f"*.w MX 1 h{i:02}\nh{i:02} A 192.0.2.{i}\n" for i in range(count))
    call = BytesCall(tmp_path, {"z.example": fake_signed(plain, "z.example", nsec3)}, max_udp=4096)
    full = call.ask("q.w.z.example", "MX", want_dnssec=True, payload=4096)
    assert {rrset.rdtype for rrset in full.additional} == {t.A, t.RRSIG}
    # Each owner is a pointer, and no name ends in another host's: exactly this is left out.
    data = sum(12 + len(rdata.to_wire()) for rrset in full.additional for rdata in rrset)
    trimmed = full.size - data
    for payload in around(trimmed, full.size):
        reply = call.ask("q.w.z.example", "MX", want_dnssec=True, payload=payload)
        assert reply.size == (
            full.size if payload >= full.size else trimmed if payload >= trimmed else 12 + 19 + 11
        )
        assert bool(reply.flags & dns.flags.TC) == (payload < trimmed)
        if payload >= trimmed:
            assert (reply.answer, reply.authority) == (full.answer, full.authority)
            assert reply.additional == (full.additional if payload >= full.size else [])


@pytest.mark.parametrize("more", [0, 1])
def test_a_cname_synthesized_from_a_dname(tmp_path: Path, more: int) -> None:
    """It ends the reply, as its target is not in any zone."""
    targets = [f"{'a' * 63}.{'b' * n}.test." for n in range(20, 40)]
    text = HEAD + "".join(f"dn{n} DNAME {target}\n" for n, target in enumerate(targets, 10))
    call = BytesCall(tmp_path, {"z.example": text})
    prefix = f"{'p' * 60}.{'q' * (60 + more)}"
    met = set()
    for number, target in enumerate(targets, 10):
        question = len(prefix) + 1 + len(b"\4dn00\1z\7example\0")
        dname = 12 + len(target) + 1
        size = 12 + question + 4 + dname + dname + len(prefix) + 1 + 11
        reply = call.ask(f"{prefix}.dn{number}.z.example", "A", payload=512)
        assert bool(reply.flags & dns.flags.TC) == (size > 512)
        if size <= 512:
            assert reply.size == size and len(reply.answer) == 2
        met.add(size - 512)
    assert {-1, 1} <= met or {-2, 0, 2} <= met
