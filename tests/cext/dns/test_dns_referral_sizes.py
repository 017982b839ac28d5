"""Referrals that do not fit: TC, and as many addresses as there is room for (RFC 9471)."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_fake_signer import fake_signed

SERVERS = 13
ZONE = (
    HEAD
    + "ns1 A 192.0.2.1\nsec CNAME x.net\n"
    + "".join(
        f"net NS s{i}.net\ns{i}.net A 192.0.2.{i}\ns{i}.net AAAA 2001:db8::{i}\n"
        for i in range(SERVERS)
    )
)
SIZE = {dns.rdatatype.A: 16, dns.rdatatype.AAAA: 28}
"""Bytes of such a record, its owner compressed."""


def records(rrset: dns.rrset.RRset) -> list[tuple[str, int, str]]:
    return [(rrset.name.to_text(), rrset.rdtype, rdata.to_text()) for rdata in rrset]


def addresses(message: dns.message.Message) -> int:
    return sum(len(rrset) for rrset in message.additional)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ["www.net.z", "sec.z"])
@pytest.mark.parametrize("payload", range(512, 1233, 8))
def test_as_many_as_fit(tmp_path: Path, name: str, signed: bool, payload: int) -> None:
    text = fake_signed(ZONE, "z", nsec3=False) if signed else ZONE
    call = BytesCall(tmp_path / "zones", {"z": text})
    options = {"payload": payload, "want_dnssec": signed, "use_edns": 0}
    request = dns.message.make_query(name, "A", **options)  # type: ignore[arg-type]
    _, whole = call.send(request.to_wire(), tcp=True)
    verdict, reply = call.send(request.to_wire())
    assert whole is not None and reply is not None and len(reply) <= payload
    full, found = dns.message.from_wire(whole), dns.message.from_wire(reply)
    assert addresses(full) == 2 * SERVERS
    if len(whole) <= payload:
        assert reply == whole and not found.flags & dns.flags.TC
        return
    assert found.flags & dns.flags.TC and verdict == "dns_truncated"
    if found.authority:
        assert found.authority == full.authority and found.answer == full.answer
        # No other one would have fit.
        missing = {record for rrset in full.additional for record in records(rrset)}
        missing -= {record for rrset in found.additional for record in records(rrset)}
        assert len(missing) == 2 * SERVERS - addresses(found)
        assert all(payload - len(reply) < SIZE[kind] for _, kind, _ in missing)
    else:
        least = len(whole) - SERVERS * sum(SIZE.values())
        assert payload < least


def test_without_edns(tmp_path: Path) -> None:
    call = BytesCall(tmp_path / "zones", {"z": ZONE})
    reply = call.ask("www.net.z", "A", use_edns=-1)
    assert reply.flags & dns.flags.TC and len(reply.authority[0]) == SERVERS
    assert addresses(reply) == 12, "as knotd"
