"""``xdpkit query``'s explanations."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from dns_bytes_call import HEAD
from dns_fake_signer import fake_signed

from xdpkit.errors import UsageError, XdpkitError, ZoneError
from xdpkit.services.dns.query.query import explain

ZONE = (
    HEAD
    + """
www A 192.0.2.1
a.ent A 192.0.2.2
*.wild A 192.0.2.3
alias CNAME www
sub NS ns.other.test.
inside NS ns.inside
inside NS ns.other
ns.inside A 192.0.2.9
ns.other A 192.0.2.10
dn DNAME wild
far CNAME www.example.org.
twice CNAME alias
long TXT "{}" "{}" "{}" "{}" "{}"
""".format(*("x" * 250,) * 5)
)


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    (tmp_path / "z.example.zone").write_text(ZONE)
    return tmp_path


@pytest.mark.parametrize(
    "name, rdtype, match, node, verdict",
    [
        ("WWW.z.example.", "a", "exact", "www.z.example", "dns_noerror"),
        ("www.z.example", "AAAA", "exact", "www.z.example", "dns_nodata"),
        ("ent.z.example", "A", "empty non-terminal", "ent.z.example", "dns_nodata"),
        ("x.y.wild.z.example", "A", "wildcard", "*.wild.z.example", "dns_noerror"),
        ("alias.z.example", "A", "cname", "alias.z.example", "dns_noerror"),
        ("alias.z.example", "CNAME", "exact", "alias.z.example", "dns_noerror"),
        ("x.dn.z.example", "A", "dname", "dn.z.example", "dns_noerror"),
        ("dn.z.example", "A", "exact", "dn.z.example", "dns_nodata"),
        ("www.z.example", "ANY", "exact", "www.z.example", "dns_noerror"),
        ("x.sub.z.example", "A", "referral", "sub.z.example", "dns_referral"),
        ("sub.z.example", "DS", "exact", "sub.z.example", "dns_nodata"),
        ("x.ent.z.example", "A", "missing", "ent.z.example", "dns_nxdomain"),
        ("other.test", "A", "out of zone", None, "dns_refused"),
        ("www.z.example", "AXFR", "no data", None, "dns_refused"),
        ("long.z.example", "TXT", "exact", "long.z.example", "dns_truncated"),
    ],
)
def test_reasons(
    zones: Path, name: str, rdtype: str, match: str, node: str | None, verdict: str
) -> None:
    found = explain(zones, name, rdtype)
    assert (found.match, found.node, found.verdict) == (match, node, verdict)
    assert found.zone == ("z.example" if node else None)
    assert found.truncated == (verdict == "dns_truncated")
    assert 12 < found.size <= found.limit == 1232
    assert json.loads(json.dumps(dataclasses.asdict(found)))["match"] == match
    assert match in str(found) and verdict in str(found) and found.rcode in str(found)


def test_the_records_are_shown(zones: Path) -> None:
    found = explain(zones, "alias.z.example", "A", "2001:db8::1")
    assert found.answer[1] == "www.z.example. 300 IN A 192.0.2.1"
    assert "    www.z.example. 300 IN A 192.0.2.1" in str(found).splitlines()
    assert found.authoritative and found.client == "2001:db8::1"


@pytest.mark.parametrize(
    "name, rdtype, client",
    [("a..b", "A", "192.0.2.1"), ("a", "NOTYPE", "192.0.2.1"), ("a", "A", "here")],
)
def test_invalid_questions(zones: Path, name: str, rdtype: str, client: str) -> None:
    with pytest.raises(UsageError):
        explain(zones, name, rdtype, client)


def test_a_client_that_is_never_answered(zones: Path) -> None:
    with pytest.raises(XdpkitError, match="source_address"):
        explain(zones, "www.z.example", "A", "224.0.0.1")


def test_an_invalid_zone(tmp_path: Path) -> None:
    (tmp_path / "z.zone").write_text(HEAD + "x\n")
    with pytest.raises(ZoneError, match=":4:"):
        explain(tmp_path, "x.z", "A")


@pytest.mark.parametrize(
    "name, rdtype, nsec3, match",
    [
        ("alias", "NSEC", False, "exact"),
        ("alias", "RRSIG", False, "exact"),
        ("alias", "RRSIG", True, "exact"),
        ("alias", "NSEC", True, "cname"),
        ("alias", "A", False, "cname"),
        ("alias", "TXT", False, "cname"),
        ("far", "A", False, "cname"),
    ],
)
def test_records_beside_an_alias(
    tmp_path: Path, name: str, rdtype: str, nsec3: bool, match: str
) -> None:
    """The alias's own records are answered without following it."""
    (tmp_path / "z.example.zone").write_text(fake_signed(ZONE, "z.example", nsec3))
    found = explain(tmp_path, f"{name}.z.example", rdtype)
    assert found.match == match
    assert ("CNAME" in {line.split()[3] for line in found.answer}) == (match == "cname")


def test_where_aliases_lead(zones: Path) -> None:
    assert explain(zones, "twice.z.example", "A").chain == (
        "alias.z.example in z.example",
        "www.z.example in z.example",
    )
    assert explain(zones, "far.z.example", "A").chain == ("www.example.org in no zone served",)
    found = explain(zones, "x.dn.z.example", "A")
    assert found.chain == ("x.wild.z.example in z.example",)
    assert "leads   to x.wild.z.example in z.example" in str(found).splitlines()


def test_sizes_of_the_image(zones: Path) -> None:
    found = explain(zones, "x.inside.z.example", "A")
    sizes = found.sizes["plain"]
    assert sizes["full"] == found.size
    assert sizes["full"] - sizes["trimmed"] == sizes["trimmed"] - sizes["least"] == 16
    assert "do" not in found.sizes and found.proof == ()
    plain = explain(zones, "www.z.example", "A").sizes["plain"]
    assert plain["full"] == plain["trimmed"] > plain["least"]


@pytest.mark.parametrize("nsec3", [False, True])
def test_proofs(tmp_path: Path, nsec3: bool) -> None:
    text = fake_signed(HEAD + "www A 192.0.2.1\n*.wild A 192.0.2.3\n", "z.example", nsec3)
    (tmp_path / "z.example.zone").write_text(text)
    missing = " ".join(explain(tmp_path, "q.x.z.example", "A").proof)
    assert "x.z.example. does not exist" in missing and "*.z.example. does not exist" in missing
    found = explain(tmp_path, "q.wild.z.example", "A")
    assert "q.wild.z.example. does not exist" in " ".join(found.proof)
    assert found.sizes["do"]["full"] > found.sizes["plain"]["full"]
    assert "www.z.example. exists" in " ".join(explain(tmp_path, "www.z.example", "MX").proof)
