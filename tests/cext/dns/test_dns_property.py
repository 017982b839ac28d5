"""Random zones and questions: the compiled answer equals the model's."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_model import Model, Record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LABELS = ["a", "b", "c", "*", "a-label-that-is-rather-long-so-that-pointers-move"]
ORIGINS = ["z.example", "b.z.example"]

labels = st.lists(st.sampled_from(LABELS), min_size=0, max_size=3)
hosts = st.tuples(labels, st.sampled_from(["z.example.", "b.z.example.", "other.test."])).map(
    lambda pair: ".".join([*pair[0], pair[1]])
)
records = st.one_of(
    st.tuples(st.just("A"), st.sampled_from(["192.0.2.1", "192.0.2.2"])),
    st.tuples(st.just("AAAA"), st.just("2001:db8::1")),
    st.tuples(st.just("TXT"), st.just('"one" "two"')),
    st.tuples(st.just("MX"), hosts.map(lambda host: f"10 {host}")),
    st.tuples(st.just("SRV"), hosts.map(lambda host: f"0 0 53 {host}")),
    st.tuples(st.just("CNAME"), hosts),
    st.tuples(st.just("DNAME"), hosts),
    st.tuples(st.just("NS"), hosts),
    st.tuples(st.just("DS"), st.just("1 8 2 " + "ab" * 32)),
    st.tuples(st.just("TYPE65280"), st.just("\\# 3 010203")),
)
zone_records = st.lists(st.tuples(labels, records), max_size=14)
questions = st.lists(
    st.tuples(
        st.lists(st.sampled_from([*LABELS, "d", "e"]), max_size=5),
        st.sampled_from([*ORIGINS, "example", "test"]),
        st.sampled_from(
            ["A", "AAAA", "TXT", "MX", "SRV", "CNAME", "NS", "DS", "SOA", "TYPE65280", "HTTPS"]
        ),
        st.integers(0, 2**32),
    ),
    min_size=8,
    max_size=24,
)


def zone_text(found: list[tuple[list[str], tuple[str, str]]]) -> str:
    """A master file with those of the records that may coexist."""
    kept, types = [], {(): {"SOA", "NS"}}
    for labels_, (rdtype, rdata) in found:
        owner = tuple(labels_)
        have = types.setdefault(owner, set())
        if (rdtype == "CNAME" and have) or "CNAME" in have:
            continue
        if (rdtype in ("NS", "DNAME") and owner[:1] == ("*",)) or (rdtype == "DS" and not owner):
            continue
        if (rdtype == "DNAME" and "DNAME" in have) or (
            owner and {rdtype, *have} >= {"NS", "DNAME"}
        ):
            continue
        have.add(rdtype)
        kept.append((owner, rdtype, rdata))
    dnames = [owner for owner, rdtype, _ in kept if rdtype == "DNAME"]
    text = HEAD
    for owner, rdtype, rdata in kept:
        if not any(owner[len(owner) - len(d) :] == d and owner != d for d in dnames):
            text += f"{'.'.join(owner) or '@'} {rdtype} {rdata}\n"
    return text


def flat(section: list) -> list[Record]:
    return sorted(
        (rrset.name, int(rrset.rdtype), rrset.ttl, rdata.to_text().lower())
        for rrset in section
        for rdata in rrset
    )


def once(section: list[Record]) -> list[Record]:
    """A DNAME that is followed twice appears once."""
    return sorted(set(section))


def mixed_case(name: str, seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chance.choice((c.lower(), c.upper())) for c in name)


def check(call: BytesCall, model: Model, name: str, rdtype: str) -> str:
    qname = dns.name.from_text(name)
    request = dns.message.make_query(qname, rdtype, use_edns=0, payload=1232).to_wire()
    verdict, reply = call.send(request)
    assert reply is not None
    end = 12 + len(qname.to_wire()) + 4
    assert reply[12:end] == request[12:end], "the question is returned unchanged, including case"
    message = dns.message.from_wire(reply)
    want = model.respond(qname, dns.rdatatype.from_text(rdtype))
    if want.endless:
        assert message.rcode() in (dns.rcode.NOERROR, dns.rcode.YXDOMAIN)
        assert set(flat(message.answer)) & set(want.answer)
        return verdict
    assert message.rcode() == want.rcode
    assert bool(message.flags & dns.flags.AA) == want.aa
    assert flat(message.answer) == once(want.answer)
    assert flat(message.authority) == once(want.authority)
    assert flat(message.additional) == once(want.additional)
    return verdict


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(zone_records, zone_records, st.booleans(), questions)
def test_answers_match_the_model(parent, child, both, asked) -> None:
    zones = {ORIGINS[0]: zone_text(parent)}
    if both:
        zones[ORIGINS[1]] = zone_text(child)
    with tempfile.TemporaryDirectory() as directory:
        call = BytesCall(Path(directory), zones)
    model = Model(zones)
    for front, origin, rdtype, seed in asked:
        check(call, model, mixed_case(".".join([*front, origin]), seed), rdtype)


ZONE = (
    HEAD
    + f"""
ns1 A 192.0.2.1
www CNAME web
web 60 A 192.0.2.3
web A 192.0.2.4
*.wild MX 10 mail.wild
*.wild MX 20 mail
below.a.*.wild A 192.0.2.9
mail A 192.0.2.5
*.alias CNAME web
*.round CNAME x.round
a.ent TXT "x"
sub NS ns.sub
sub NS ns.sib
sub NS ns1
sub DS 1 8 2 abababababababababababababababababababababababababababababababab
ns.sub A 192.0.2.6
x.y.sub A 192.0.2.7
sib NS ns.other.test.
ns.sib AAAA 2001:db8::6
loop CNAME loop2
loop2 CNAME loop
dangling CNAME missing
away CNAME www.example.org.
tosub CNAME x.y.sub
toent CNAME ent
towild CNAME x.y.wild
branch DNAME wild
branch A 192.0.2.8
far DNAME host.child.z.example.
out DNAME example.org.
other MX 5 web.child
long DNAME {".".join(["l" * 60] * 3)}.{"m" * 30}
tolong CNAME a-label-that-is-long-enough.long
ring DNAME gnir
gnir DNAME ring
tobranch CNAME x.branch
tochild CNAME a.child
"""
)
CHILD = (
    HEAD
    + """
a A 192.0.2.10
*.host CNAME web.z.example.
back DNAME wild.z.example.
"""
)
NAMES = [
    "@",
    "ns1",
    "www",
    "web",
    "nothing",
    "x.nothing",
    "wild",
    "x.wild",
    "x.y.wild",
    "*.wild",
    "x.*.wild",
    "a.*.wild",
    "below.a.*.wild",
    "q.alias",
    "alias",
    "q.round",
    "x.round",
    "ent",
    "a.ent",
    "b.ent",
    "sub",
    "ns.sub",
    "x.y.sub",
    "deep.er.sub",
    "sib",
    "ns.sib",
    "z.sib",
    "loop",
    "loop2",
    "dangling",
    "away",
    "tosub",
    "toent",
    "towild",
    "branch",
    "x.branch",
    "x.y.branch",
    "q.far",
    "far",
    "q.out",
    "other",
    "x.long",
    f"{'x' * 30}.long",
    "tolong",
    "x.ring",
    "tobranch",
    "tochild",
    "child",
    "a.child",
    "host.child",
    "x.host.child",
    "b.back.child",
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[BytesCall, Model]:
    zones = {"z.example": ZONE, "child.z.example": CHILD}
    return BytesCall(tmp_path_factory.mktemp("zones"), zones), Model(zones)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_name(pair: tuple[BytesCall, Model], name: str) -> None:
    for rdtype in ["A", "AAAA", "MX", "TXT", "NS", "SOA", "DS", "CNAME", "TYPE1000"]:
        check(*pair, "z.example" if name == "@" else f"{name}.z.example", rdtype)
