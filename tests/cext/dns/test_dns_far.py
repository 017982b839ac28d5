"""Replies over TCP with proofs beyond the reach of pointers: a pointer has 14 bits.

test_dns_differential.py compares such replies with those of knotd and nsd (dnsdiff's corners).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype as t
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_fake_signer import fake_signed

from xdpkit._core._answer import answer

REACH = 1 << 14
"""RFC 1035 section 4.1.4."""

# Around it: the proofs of one name, from before the reach to past it.
AROUND = range(REACH - 170, REACH + 8)


def records(owner: str, size: int) -> str:
    """A wildcard's TXT records, with ``size`` bytes of data.

    A wildcard, because the proof that the name itself does not exist follows the records.
    """
    lines = []
    for number, part in enumerate([*[1000] * 15, size - 15000]):
        strings, rest = divmod(part, 250)
        text = [f"{number:03}" + "x" * 246] * strings + ["y" * (rest - 1)] * bool(rest)
        lines.append(f"*.{owner} TXT " + " ".join(f'"{string}"' for string in text) + "\n")
    return "".join(lines)


def whole(call: BytesCall, name: str, rdtype: str) -> bytes:
    """The reply over TCP to a question with DO."""
    request = dns.message.make_query(name, rdtype, want_dnssec=True, id=1)
    _, reply = answer(call.snapshot, "dns", request.to_wire(), tcp=True)
    assert reply is not None
    return reply


@pytest.mark.parametrize("nsec3", [False, True])
def test_every_position_around_the_reach(tmp_path: Path, nsec3: bool) -> None:
    """The proofs move across it byte by byte; dnspython reads the same records each time."""
    # What precedes the proofs, less the data: the same for every name with three digits.
    rest = 12 + len(b"\1q\4w000\1z\7example\0") + 4 + 16 * 12
    rest += 12 + len(b"\0\20\15\4" + bytes(14) + b"\1z\7example\0" + bytes(3))
    text = HEAD + "".join(records(f"w{n:03}", at - rest) for n, at in enumerate(AROUND))
    call = BytesCall(tmp_path, {"z.example": fake_signed(text, "z.example", nsec3)})
    for number, position in enumerate(AROUND):
        reply = whole(call, f"q.w{number:03}.z.example", "TXT")
        assert proofs_at(reply) == position
        (owner, first), (signed, second) = proofs(reply)
        assert (first, second) == (t.NSEC3 if nsec3 else t.NSEC, t.RRSIG)
        assert owner == signed


@pytest.mark.parametrize("over", [-1, 0, 1, 2, 3])
def test_more_than_a_message_holds(tmp_path: Path, over: int) -> None:
    """A proof at the end of 65,535 bytes, RFC 1035 section 4.2.2."""
    # An image leaves room for the longest question, so the proof must be large.
    following = f'{"p" * 63}.{"q" * 63}.x TXT "the name after the wildcard"\n'

    def reply(size: int) -> bytes:
        signed = fake_signed(HEAD + records("w", size) + following, "z.example")
        text = signed.replace(" AAAA\n", f" {'A' * 160}\n")
        return whole(BytesCall(tmp_path, {"z.example": text}), "q.w.z.example", "TXT")

    size = 64000 + 65535 - len(reply(64000)) + over
    message = dns.message.from_wire(reply(size))
    assert bool(message.flags & dns.flags.TC) == (over > 0)
    assert bool(message.answer and message.authority) == (over <= 0)


def test_an_alias_chain_ends_where_pointers_would(tmp_path: Path) -> None:
    """DNAMEs with large signatures: a resolver then queries the last target."""
    chain = "".join(f"d{n} DNAME d{n + 1}\n" for n in range(15)) + "x.d15 A 192.0.2.1\n"
    signed = fake_signed(HEAD + chain, "z.example").replace(" AAAA\n", f" {'A' * 2048}\n")
    call = BytesCall(tmp_path, {"z.example": signed})
    message = dns.message.from_wire(whole(call, "x.d0.z.example", "A"))
    aliases = [rrset for rrset in message.answer if rrset.rdtype == t.CNAME]
    assert message.rcode() == dns.rcode.NOERROR and not message.flags & dns.flags.TC
    assert [rrset.to_text() for rrset in aliases] == [
        f"x.d{n}.z.example. 300 IN CNAME x.d{n + 1}.z.example." for n in range(len(aliases))
    ]
    assert 3 < len(aliases) < 15
    # Each with its DNAME and the signature of that.
    assert len(message.answer) == 3 * len(aliases)
    plain = call.ask("x.d0.z.example", "A")
    assert plain.answer[-1].to_text() == "x.d15.z.example. 300 IN A 192.0.2.1"


def proofs(reply: bytes) -> list[tuple[str, int]]:
    """Owners and types of the authority section."""
    authority = dns.message.from_wire(reply).authority
    return [(rrset.name.to_text(), int(rrset.rdtype)) for rrset in authority]


def proofs_at(reply: bytes) -> int:
    """Offset of the authority section."""
    message = dns.message.from_wire(reply)
    message.authority, message.additional = [], []
    message.use_edns(-1)
    found = message.to_wire(max_size=65535)
    return len(found)


def test_an_answer_after_a_long_chain(tmp_path: Path) -> None:
    """No lookup where the last DNAME would push the pointers of a large answer too far."""

    def owner(number: int) -> str:
        """253 bytes of wire format."""
        return f"{number:02}{'l' * 61}.{'m' * 63}.{'n' * 63}.{'o' * 52}.z.test."

    links = ["a", *(owner(number) for number in range(1, 17))]
    text = "".join(f"{one} DNAME {next}\n" for one, next in pairwise(links))
    for number in range(250):
        # The second name points to the first, up to POINTER_END and beyond.
        text += f"x.{links[-1]} MX 1 g.{number:03}.org.\nx.{links[-1]} MX 2 h.{number:03}.org.\n"
    call = BytesCall(tmp_path, {"z.test": HEAD + text})
    request = dns.message.make_query("x.a.z.test", "MX", use_edns=False)
    _, reply = call.send(request.to_wire(), tcp=True)
    assert reply is not None
    answer = dns.message.from_wire(reply).answer
    assert {rrset.rdtype for rrset in answer} == {t.DNAME, t.CNAME}
    assert str(answer[-1][0].target).startswith("x.16")
