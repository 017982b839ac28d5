"""Random zones with fake signatures: every denial has its proof, and DO adds signatures."""

from __future__ import annotations

import tempfile
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype as t
import pytest
from dns_bytes_call import BytesCall
from dns_fake_signer import fake_signed
from dns_proofs import Proofs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_dns_property import LABELS, flat, labels, mixed_case, records, zone_text

# No aliases: the differential tests cover them.
DATA = records.filter(lambda record: record[0] not in ("CNAME", "DNAME"))
zone_records = st.lists(st.tuples(labels, DATA), max_size=14)
questions = st.lists(
    st.tuples(
        st.lists(st.sampled_from([*LABELS, "d", "\\000", "\\001z", "zz"]), max_size=5),
        st.sampled_from(["A", "TXT", "MX", "NS", "DS", "SOA", "TYPE65280", "HTTPS"]),
        st.integers(0, 2**32),
    ),
    min_size=8,
    max_size=24,
)


def ask(call: BytesCall, name: str, rdtype: str, do: bool) -> dns.message.Message:
    reply: dns.message.Message = call.ask(name, rdtype, payload=4096, want_dnssec=do)
    assert not reply.flags & (dns.flags.TC | dns.flags.AD)
    assert bool(reply.ednsflags & dns.flags.DO) == do
    return reply


def judge(reply: dns.message.Message, name: dns.name.Name, rdtype: int, verdict: str) -> None:
    """Checks that the reply proves what it must."""
    origin = dns.name.from_text("z.example")
    proofs = Proofs(reply, origin)
    if verdict == "dns_nxdomain":
        proofs.missing(name)
    elif verdict == "dns_nodata":
        proofs.no_type(name, rdtype)
    elif verdict == "dns_referral":
        cut = next(rrset.name for rrset in reply.authority if rrset.rdtype == t.NS)
        if not any(rrset.rdtype == t.DS for rrset in reply.authority):
            proofs.no_type(cut, t.DS)
    else:
        signature = next(rrset for rrset in reply.answer if rrset.rdtype == t.RRSIG)
        if signature[0].labels < len(name) - 1 - (name.labels[0] == b"*"):
            proofs.expanded(name)


def plain(section: list) -> list:
    """A section's records except those that DO adds, and a delegation's DS."""
    added = (t.RRSIG, t.NSEC, t.NSEC3, t.DS)
    return [record for record in flat(section) if record[1] not in added]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(zone_records, st.sampled_from(["nsec", "nsec3", "optout"]), questions)
def test_denials_are_proved(found, flavor, asked) -> None:
    text = fake_signed(zone_text(found), "z.example", flavor != "nsec", opt_out=flavor == "optout")
    with tempfile.TemporaryDirectory() as directory:
        call = BytesCall(Path(directory), {"z.example": text}, max_udp=4096)
    for front, rdtype, seed in asked:
        name = mixed_case(".".join([*front, "z.example"]), seed)
        with_do, without = ask(call, name, rdtype, True), ask(call, name, rdtype, False)
        assert with_do.verdict == without.verdict
        assert with_do.rcode() == without.rcode()
        assert with_do.flags == without.flags
        assert not any(
            rrset.rdtype in (t.RRSIG, t.NSEC, t.NSEC3)
            for rrset in (*without.answer, *without.authority, *without.additional)
        )
        for section in ("answer", "authority", "additional"):
            assert plain(getattr(with_do, section)) == plain(getattr(without, section))
        for section in (with_do.answer, with_do.authority):
            signed = {(rrset.name, rrset.covers) for rrset in section if rrset.rdtype == t.RRSIG}
            for rrset in section:
                delegation = rrset.rdtype == t.NS and section is with_do.authority
                assert rrset.rdtype == t.RRSIG or delegation or (rrset.name, rrset.rdtype) in signed
        judge(with_do, dns.name.from_text(name), t.from_text(rdtype), with_do.verdict)


# Empty non-terminals, some only above unsigned delegations: opt-out omits those.
ENTS = """$TTL 300
@ SOA ns1 hostmaster 1 7200 3600 1209600 60
@ NS ns1
x.y.ent A 192.0.2.1
deep.in.cut NS ns1
deep.in.mixed NS ns1
b.mixed TXT "b"
*.wild A 192.0.2.1
sub.in.wild NS ns1
deep.*.star NS ns1
ds.in.signed NS ns1
ds.in.signed DS 1 8 2 abababababababababababababababababababababababababababababababab
"""


@pytest.mark.parametrize("flavor", ["nsec", "nsec3", "optout"])
def test_every_depth(tmp_path: Path, flavor: str) -> None:
    text = fake_signed(ENTS, "z.example", flavor != "nsec", opt_out=flavor == "optout")
    call = BytesCall(tmp_path, {"z.example": text}, max_udp=4096)
    known = "ent y.ent x.y.ent cut in.cut deep.in.cut mixed in.mixed deep.in.mixed wild star signed"
    for above in [*known.split(), "in.wild", "sub.in.wild", "in.signed", "ds.in.signed", "*.wild"]:
        for front in ("", "q.", "\\000.", "zz.zz."):
            for rdtype in ("A", "TXT", "DS"):
                name = f"{front}{above}.z.example"
                reply = ask(call, name, rdtype, True)
                judge(reply, dns.name.from_text(name), t.from_text(rdtype), reply.verdict)


@pytest.mark.parametrize("nsec3", [False, True])
def test_a_truncated_denial(tmp_path: Path, nsec3: bool) -> None:
    text = fake_signed(zone_text([(["a"], ("A", "192.0.2.1"))]), "z.example", nsec3)
    call = BytesCall(tmp_path, {"z.example": text.replace("AAAA", "A" * 344)})
    whole = call.ask("x.z.example", "A", want_dnssec=True, payload=1232)
    assert whole.verdict in ("dns_nxdomain", "dns_truncated")
    reply = call.ask("x.z.example", "A", want_dnssec=True, payload=512)
    assert reply.verdict == "dns_truncated" and reply.rcode() == dns.rcode.NXDOMAIN
    assert reply.flags & dns.flags.TC and not reply.authority
