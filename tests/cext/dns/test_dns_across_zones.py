"""Answers that lead from zone to zone, and zones that could not be loaded."""

from __future__ import annotations

from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from dns_bytes_call import HEAD, BytesCall, lines
from dns_fake_signer import fake_signed

from xdpkit._core._answer import answer
from xdpkit._core._limits import DNS_ALIASES_MAX, ZONE_INDEX_NODES
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._zones import ZoneDirectory
from xdpkit.loadgen.queries import query

ZONES = {
    "z": HEAD + "ns1 A 192.0.2.1\nout CNAME www.child.z.\nto CNAME x.other.\n"
    "child NS ns1\nchild DS 1 8 2 " + "ab" * 32 + "\nbare NS ns1\n",
    "child.z": HEAD + "ns1 A 192.0.2.2\nwww A 192.0.2.3\nback CNAME ns1.z.\n",
    "bare.z": HEAD + "ns1 A 192.0.2.4\n",
    "other": HEAD + "ns1 A 192.0.2.5\nx CNAME www.child.z.\ngone CNAME a.nowhere.\n",
}


@pytest.fixture
def call(tmp_path: Path) -> BytesCall:
    return BytesCall(tmp_path / "zones", ZONES)


def without(call: BytesCall, *names: bytes) -> None:
    """These zones could not be loaded from now on."""
    zones = {name: None if name in names else arena for name, arena in call.arenas.items()}
    call.snapshot = Snapshot({"dns": 53}, zones=ZoneDirectory(zones.items()))


def removed(call: BytesCall, *names: bytes) -> None:
    """These zones are no longer served."""
    zones = {name: arena for name, arena in call.arenas.items() if name not in names}
    call.snapshot = Snapshot({"dns": 53}, zones=ZoneDirectory(zones.items()))


def test_aliases_are_followed_through_all_zones(call: BytesCall) -> None:
    reply = call.ask("to.z", "A")
    assert lines(reply.answer) == [
        "to.z. 300 IN CNAME x.other.",
        "x.other. 300 IN CNAME www.child.z.",
        "www.child.z. 300 IN A 192.0.2.3",
    ]
    assert reply.flags & dns.flags.AA and reply.rcode() == dns.rcode.NOERROR
    assert lines(call.ask("back.child.z", "A").answer)[-1] == "ns1.z. 300 IN A 192.0.2.1"
    assert lines(call.ask("gone.other", "A").answer) == ["gone.other. 300 IN CNAME a.nowhere."]


def test_where_an_alias_ends_decides(call: BytesCall) -> None:
    """RFC 6604 section 3."""
    reply = call.ask("out.z", "MX")
    assert reply.verdict == "dns_nodata" and reply.authority[0].name.to_text() == "child.z."
    removed(call, b"\5child\1z\0")
    reply = call.ask("to.z", "A")
    assert len(reply.answer) == 2 and reply.flags & dns.flags.AA
    assert lines(reply.authority) == ["child.z. 300 IN NS ns1.z."]


def test_a_child_is_asked_and_not_its_parent(call: BytesCall) -> None:
    assert lines(call.ask("www.child.z", "A").answer) == ["www.child.z. 300 IN A 192.0.2.3"]
    removed(call, b"\5child\1z\0")
    reply = call.ask("www.child.z", "A")
    assert reply.verdict == "dns_referral" and not reply.answer


def test_ds_is_the_parents(call: BytesCall) -> None:
    reply = call.ask("child.z", "DS")
    assert len(reply.answer) == 1 and reply.verdict == "dns_noerror"
    reply = call.ask("bare.z", "DS")
    assert reply.verdict == "dns_nodata" and reply.authority[0].name.to_text() == "z."
    removed(call, b"\1z\0")
    reply = call.ask("child.z", "DS")
    assert reply.verdict == "dns_nodata" and reply.authority[0].name.to_text() == "child.z."
    assert call.ask("z", "DS").verdict == "dns_refused"


def test_a_zone_that_could_not_be_loaded(call: BytesCall) -> None:
    without(call, b"\5child\1z\0")
    for name in ("child.z", "www.child.z", "CHILD.z", "q.q.child.z"):
        for edns in (-1, 0):
            reply = call.ask(name, "A", use_edns=edns)
            assert reply.verdict == "dns_servfail" and reply.rcode() == dns.rcode.SERVFAIL
            assert not reply.flags & dns.flags.AA
            assert not (reply.answer or reply.authority or reply.additional)
            codes = [o.code for o in reply.options if isinstance(o, dns.edns.EDEOption)]
            assert codes == ([24] if edns == 0 else []), "RFC 8914 section 4.25"
    assert call.ask("z", "SOA").verdict == "dns_noerror"
    assert call.ask("child.z", "DS").verdict == "dns_noerror"
    reply = call.ask("to.z", "A")
    assert reply.rcode() == dns.rcode.NOERROR and len(reply.answer) == 2


def test_a_parent_that_could_not_be_loaded(call: BytesCall) -> None:
    without(call, b"\1z\0")
    assert call.ask("www.child.z", "A").verdict == "dns_noerror"
    assert call.ask("child.z", "DS").verdict == "dns_servfail"
    assert call.ask("nothing.z", "A").verdict == "dns_servfail"


def test_no_zone_at_all(call: BytesCall) -> None:
    call.snapshot = Snapshot({"dns": 53}, zones=ZoneDirectory([]))
    assert call.ask("z", "A").verdict == "dns_refused"


def test_a_name_comes_once(call: BytesCall) -> None:
    arena = call.arenas[b"\1z\0"]
    with pytest.raises(ValueError, match="two zones"):
        ZoneDirectory([(b"\1z\0", arena), (b"\1y\0", None), (b"\1z\0", None)])


def test_the_root_and_a_child_of_it(tmp_path: Path) -> None:
    call = BytesCall(
        tmp_path / "zones",
        {".": HEAD.replace("@ NS ns1", "@ NS a.nic."), "a.b": HEAD + "x A 192.0.2.1\n"},
    )
    assert call.ask("x.a.b", "A").verdict == "dns_noerror"
    assert call.ask("x.b", "A").verdict == "dns_nxdomain"
    assert call.ask(".", "SOA").verdict == "dns_noerror"
    assert call.ask(".", "DS").verdict == "dns_nodata"


@pytest.mark.parametrize("count", [1, 2, 5, 6, 40, 1000])
def test_every_zone_is_found(tmp_path: Path, count: int) -> None:
    call = BytesCall(tmp_path / "zones", {"z": HEAD + "www A 192.0.2.1\n"})
    arena = call.arenas[b"\1z\0"]
    names = [b"%c%s\2xy\0" % (len(str(i)), str(i).encode()) for i in range(count - 1)]
    zones = ZoneDirectory([(b"\1z\0", arena), *((name, None) for name in names)])
    assert len(zones) == count
    call.snapshot = Snapshot({"dns": 53}, zones=zones)
    assert call.ask("www.z", "A").verdict == "dns_noerror"
    for i in range(0, count - 1, 1 + count // 50):
        assert call.ask(f"q.{i}.xy", "A").verdict == "dns_servfail"
    assert call.ask(f"{count}.xy", "A").verdict == "dns_refused"


def test_what_a_parent_has_below_a_childs_name_is_not_served(tmp_path: Path) -> None:
    lost = "www.child A 192.0.2.66\ngone.child A 192.0.2.66\nchild TXT parent\n"
    zones = {"z": HEAD + "x A 192.0.2.1\n" + lost, "child.z": HEAD + "www A 192.0.2.3\n"}
    call = BytesCall(tmp_path / "zones", zones)
    assert lines(call.ask("www.child.z", "A").answer) == ["www.child.z. 300 IN A 192.0.2.3"]
    assert call.ask("gone.child.z", "A").verdict == "dns_nxdomain"
    assert call.ask("child.z", "TXT").verdict == "dns_nodata"
    assert call.ask("x.z", "A").verdict == "dns_noerror"
    without(call, b"\5child\1z\0")
    for name in ("www.child.z", "gone.child.z", "child.z"):
        assert call.ask(name, "A").verdict == "dns_servfail"


def test_names_of_small_and_large_zones(tmp_path: Path) -> None:
    many = "".join(f"n{i} A 192.0.2.7\n" for i in range(ZONE_INDEX_NODES))
    zones = {"small": HEAD + "www A 192.0.2.1\n", "large": HEAD + "www A 192.0.2.2\n" + many}
    call = BytesCall(tmp_path / "zones", zones)
    for name, last in (("www.small", 1), ("www.large", 2), ("n9.large", 7)):
        assert lines(call.ask(name, "A").answer) == [f"{name}. 300 IN A 192.0.2.{last}"]
    for name in ("no.small", "no.large", "n9.small"):
        assert call.ask(name, "A").verdict == "dns_nxdomain"


def test_no_name_is_taken_for_another(tmp_path: Path) -> None:
    """Their tags in a table have 16 bits: some of so many are equal."""
    text = HEAD + "".join(f"n{i} A 192.0.2.1\n" for i in range(200))
    call = BytesCall(tmp_path / "zones", {f"z{i}.test": text for i in range(20)})
    asked = {i: query(b"\6%06x\2z5\4test\0" % i, 1) for i in range(100_000)}
    assert {call.send(asked[i])[0] for i in asked} == {"dns_nxdomain"}


# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 1])
def test_long_chains_and_loops(tmp_path: Path, others: int) -> None:
    aliases = "".join(f"c{i} CNAME c{i + 1}\n" for i in range(30))
    loops = "l0 CNAME l1\nl1 CNAME l0\n*.w CNAME q.w\n*.v CNAME t\nt CNAME n.v\n"
    zones = {"z": HEAD + aliases + "c30 A 192.0.2.1\n" + loops}
    call = BytesCall(tmp_path / "zones", zones | {f"y{i}": HEAD for i in range(others)})
    reply = call.ask(f"c{30 - DNS_ALIASES_MAX}.z", "A")
    assert len(reply.answer) == DNS_ALIASES_MAX + 1 and reply.verdict == "dns_noerror"
    reply = call.ask(f"c{29 - DNS_ALIASES_MAX}.z", "A")
    assert len(reply.answer) == DNS_ALIASES_MAX
    owners = {
        "l0.z": ["l0.z.", "l1.z."],
        "a.w.z": ["a.w.z.", "q.w.z."],
        "a.v.z": ["a.v.z.", "t.z.", "n.v.z."],
    }
    for name, expected in owners.items():
        assert [rrset.name.to_text() for rrset in call.ask(name, "A").answer] == expected
        _, reply = call.send(dns.message.make_query(name, "A").to_wire())
        # As counted: dnspython shows a record that comes twice once.
        assert reply is not None and reply[6:8] == bytes((0, len(expected)))


def test_an_answer_that_no_message_holds(tmp_path: Path) -> None:
    """Each part fits, all of them do not: TC, even over TCP."""
    big = "".join(f'x TXT "{i:04}{"y" * 246}"\n' for i in range(247))
    chain = "".join(f"c{i} CNAME {'l' * 60}{i}\n{'l' * 60}{i} CNAME c{i + 1}\n" for i in range(7))
    call = BytesCall(tmp_path / "zones", {"z.example": HEAD + chain + "c7 CNAME x\n" + big})
    request = dns.message.make_query("c0.z.example", "TXT").to_wire()
    verdict, reply = answer(call.snapshot, "dns", request, tcp=True)
    assert verdict == "dns_truncated" and reply is not None
    assert dns.message.from_wire(reply).flags & dns.flags.TC
    request = dns.message.make_query("x.z.example", "TXT").to_wire()
    assert answer(call.snapshot, "dns", request, tcp=True)[0] == "dns_noerror"


def test_an_alias_costs_its_own_record(tmp_path: Path) -> None:
    """What many aliases lead to is in the arena once."""
    big = "".join(
        f"big TYPE{30000 + k} \\# 250 {i:04x}{'00' * 248}\n" for k in range(3) for i in range(200)
    )
    few = BytesCall(tmp_path / "few", {"z": HEAD + big + "c0 CNAME big\n"}).arenas[b"\1z\0"]
    aliases = "".join(f"c{i} CNAME big\n" for i in range(400))
    many = BytesCall(tmp_path / "many", {"z": HEAD + big + aliases}).arenas[b"\1z\0"]
    assert many.size - few.size < 400 * 150


SIGNED = """$TTL 300
@ SOA a b 1 2 3 4 5
@ NS a
a A 192.0.2.1
*.w CNAME {target}
"""


@pytest.mark.parametrize("nsec3", [False, True])
def test_each_expansion_is_proved_in_its_own_zone(tmp_path: Path, nsec3: bool) -> None:
    zones = {
        name: fake_signed(SIGNED.format(target=target), name, nsec3)
        for name, target in (("one", "x.w.two."), ("two", "q.three."), ("three", "a"))
    }
    call = BytesCall(tmp_path / "zones", zones, max_udp=4096)
    reply = call.ask("x.w.one", "A", want_dnssec=True, payload=4096)
    assert reply.verdict == "dns_nxdomain"
    kind = "NSEC3" if nsec3 else "NSEC"
    assert [rrset.name.to_text() for rrset in reply.answer[::2]] == ["x.w.one.", "x.w.two."]
    proofs = [line for line in lines(reply.authority) if f"IN {kind} " in line]
    by_zone = {name: sum(line.split()[0].endswith(f"{name}.") for line in proofs) for name in zones}
    assert by_zone["one"] == by_zone["two"] == 1, "the name itself is not in the zone"
    assert by_zone["three"] >= 1 and sum(by_zone.values()) == len(proofs)
    assert any(line.startswith("three. 5 IN SOA") for line in lines(reply.authority))
