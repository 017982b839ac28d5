"""Details of answers that the model of test_dns_property.py does not cover."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest
from dns_bytes_call import HEAD, BytesCall, lines
from dns_fake_signer import fake_signed


def test_the_order_of_the_file_is_kept(tmp_path: Path) -> None:
    texts = [f"{i * 7919 % 100:02}" for i in range(40)]
    call = BytesCall(tmp_path, {"z": HEAD + "".join(f't TXT "{text}"\n' for text in texts)})
    assert lines(call.ask("t.z", "TXT").answer) == [f't.z. 300 IN TXT "{text}"' for text in texts]


def test_any_gets_one_rrset(tmp_path: Path) -> None:
    call = BytesCall(
        tmp_path,
        {
            "z": HEAD
            + "a TXT x\na A 192.0.2.1\na A 192.0.2.2\nc CNAME a\n*.w MX 1 a\ne.f A 192.0.2.1\n"
        },
    )
    assert len(lines(call.ask("a.z", "ANY").answer)) == 2
    assert lines(call.ask("c.z", "ANY").answer) == ["c.z. 300 IN CNAME a.z."]
    assert lines(call.ask("q.w.z", "ANY").answer) == ["q.w.z. 300 IN MX 1 a.z."]
    assert call.ask("f.z", "ANY").verdict == "dns_nodata"


def test_names_in_rdata_are_compressed_only_for_rfc_1035_types(tmp_path: Path) -> None:
    text = HEAD + "m MX 10 a.m\nm MX 20 b.m\ns SRV 1 2 3 a.s\n*.w MX 10 a.w\n*.w MX 10 q.w\n"
    call = BytesCall(tmp_path, {"z": text})
    assert call.ask("m.z", "MX", use_edns=-1).size == 12 + 9 + (14 + 4) * 2
    assert (
        call.ask("s.z", "SRV", use_edns=-1).size == 12 + 9 + 12 + 6 + 7
    )  # RFC 2782: never compressed
    assert lines(call.ask("very.long.name.w.z", "MX").answer) == [
        "very.long.name.w.z. 300 IN MX 10 a.w.z.",
        "very.long.name.w.z. 300 IN MX 10 q.w.z.",
    ]


@pytest.mark.parametrize("length", [*range(1, 64), 64 + 5, 200, 245])
def test_pointers_move_with_the_question(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    text = HEAD + "*.w MX 10 mx.other.test.\n*.w MX 20 mx.w\n*.w MX 30 mx2.other.test.\n"
    text += "*.c CNAME t.c\nt.c CNAME q.u\nq.u A 192.0.2.1\n"
    text += "sub NS ns.sub\nsub NS ns.other.test.\nns.sub A 192.0.2.2\n"
    call = BytesCall(tmp_path_factory.mktemp("zones"), {"z": text})
    front = ".".join(["q" * 63] * (length // 64) + ["q" * (length % 64 or 1)])
    assert lines(call.ask(f"{front}.w.z", "MX", use_edns=0).answer) == [
        f"{front}.w.z. 300 IN MX 10 mx.other.test.",
        f"{front}.w.z. 300 IN MX 20 mx.w.z.",
        f"{front}.w.z. 300 IN MX 30 mx2.other.test.",
    ]
    reply = call.ask(f"{front}.c.z", "A", use_edns=0)
    assert lines(reply.answer)[1:] == ["t.c.z. 300 IN CNAME q.u.z.", "q.u.z. 300 IN A 192.0.2.1"]
    assert call.ask(f"{front}.c.z", "AAAA", use_edns=0).authority[0].name.to_text() == "z."
    reply = call.ask(f"{front}.sub.z", "A", use_edns=0)
    assert lines(reply.authority) == [
        "sub.z. 300 IN NS ns.sub.z.",
        "sub.z. 300 IN NS ns.other.test.",
    ]
    assert lines(reply.additional) == ["ns.sub.z. 300 IN A 192.0.2.2"]
    assert not reply.flags & dns.flags.AA


def test_no_pointer_leads_to_the_wildcard_itself(tmp_path: Path) -> None:
    call = BytesCall(tmp_path, {"z": HEAD + "*.w MX 10 *.w\n*.w MX 20 a.*.w\n"})
    assert lines(call.ask("q.w.z", "MX").answer) == [
        "q.w.z. 300 IN MX 10 *.w.z.",
        "q.w.z. 300 IN MX 20 a.*.w.z.",
    ]


@pytest.mark.parametrize("longer", [0, 1, 200])
def test_no_pointer_past_14_bits(tmp_path: Path, longer: int) -> None:
    """Of 600 names, two to a domain, most are beyond: written again, or not pointed to."""
    hosts = [f"{n:060}.h{n // 2:03}.far.test." for n in range(600)]
    call = BytesCall(tmp_path, {"z": HEAD + "".join(f"*.w MX 60 {host}\n" for host in hosts)})
    labels = [b"q" * min(longer + 1 - at, 60) for at in range(0, longer + 1, 61)]
    qname = dns.name.Name([*labels, b"w", b"z", b""])
    _, reply = call.send(dns.message.make_query(qname, "MX").to_wire(), tcp=True)
    assert reply is not None
    assert len(reply) > 0x4000 + 255
    message = dns.message.from_wire(reply)
    assert lines(message.answer) == [f"{qname} 300 IN MX 60 {host}" for host in hosts]


def test_only_ascii_letters_have_two_cases(tmp_path: Path) -> None:
    def escaped(data: bytes) -> str:
        return "".join(f"\\{byte:03}" for byte in data)

    # Eight bytes around each value, so that a carry between neighbors would show.
    labels = [bytes((65, byte, 90, byte ^ 0x80, byte, 97, 64, 91)) for byte in range(256)]
    unlike = {label.lower(): label for label in labels}
    zone = HEAD + "".join(f"{escaped(label)} TXT {i}\n" for i, label in enumerate(unlike.values()))
    call = BytesCall(tmp_path, {"z": zone})
    for i, label in enumerate(unlike.values()):
        for name in (label, label.lower(), label.upper()):
            reply = call.ask(dns.name.Name((name, b"z", b"")), "TXT")
            assert lines(reply.answer)[0].endswith(f' "{i}"')
    for byte in range(256):
        if not chr(byte).isalpha() or byte > 127:
            other = bytes((65, byte ^ 0x20, 90, byte ^ 0x80, byte, 97, 64, 91))
            if other.lower() not in unlike:
                assert call.ask(dns.name.Name((other, b"z", b"")), "TXT").verdict == "dns_nxdomain"


def test_parent_and_child_in_one_server(tmp_path: Path) -> None:
    parent = HEAD + f"sub NS ns.sub\nsub DS 1 8 2 {'ab' * 32}\nns.sub A 192.0.2.1\n"
    parent += "plain NS ns.plain\nns.plain A 192.0.2.1\n"
    parent += "a.hidden A 192.0.2.3\nto CNAME a.hidden\n"
    child = HEAD + "ns A 192.0.2.2\n"
    zones = {"z": parent, "sub.z": child, "plain.z": child, "hidden.z": child, "lost.z": child}
    call = BytesCall(tmp_path, zones)
    assert lines(call.ask("sub.z", "NS").answer) == ["sub.z. 300 IN NS ns1.sub.z."]
    assert lines(call.ask("ns.sub.z", "A").answer) == ["ns.sub.z. 300 IN A 192.0.2.2"]
    assert call.ask("nothing.sub.z", "A").authority[0].name.to_text() == "sub.z."
    assert call.ask("sub.z", "DS").answer[0].rdtype == dns.rdatatype.DS
    for name, rcode in (("plain.z", "NOERROR"), ("hidden.z", "NOERROR"), ("lost.z", "NXDOMAIN")):
        assert dns.rcode.to_text(call.ask(name, "DS").rcode()) == rcode
    for name in ("plain.z", "hidden.z", "lost.z", "sub.z"):
        reply = call.ask(name, "DS")
        assert reply.flags & dns.flags.AA
        assert [rrset.name.to_text() for rrset in reply.authority] == (
            [] if reply.answer else ["z."]
        )
    assert call.ask("a.hidden.z", "A").verdict == "dns_nxdomain"
    assert lines(call.ask("to.z", "A").answer) == ["to.z. 300 IN CNAME a.hidden.z."]


def test_the_root_zone(tmp_path: Path) -> None:
    call = BytesCall(
        tmp_path, {".": HEAD + "net NS a.gtld.net\na.gtld.net A 192.0.2.1\nx A 192.0.2.2\n"}
    )
    assert call.ask(".", "SOA").verdict == "dns_noerror"
    assert call.ask("x", "A").verdict == "dns_noerror"
    assert call.ask("nothing.at.all", "A").verdict == "dns_nxdomain"
    assert lines(call.ask("www.example.net", "A").additional) == ["a.gtld.net. 300 IN A 192.0.2.1"]


def test_deep_names(tmp_path: Path) -> None:
    deep = ".".join("n" * 120)
    call = BytesCall(tmp_path, {"z": HEAD + f"{deep} A 192.0.2.1\n*.{deep[20:]} TXT x\n"})
    assert call.ask(f"{deep}.z", "A").verdict == "dns_noerror"
    assert call.ask(f"{deep[2:]}.z", "A").verdict == "dns_nodata"
    assert call.ask(f"q.{deep[4:]}.z", "A").verdict == "dns_nxdomain"
    assert call.ask(f"q.{deep[20:]}.z", "TXT").verdict == "dns_noerror"
    assert call.ask(f"{'.'.join('q' * 126)}", "A").verdict == "dns_refused"


def test_a_long_chain_ends(tmp_path: Path) -> None:
    chain = "".join(f"c{i} CNAME c{i + 1}\n" for i in range(30))
    call = BytesCall(tmp_path, {"z": HEAD + chain + "c30 A 192.0.2.1\n"})
    assert len(lines(call.ask("c20.z", "A").answer)) == 11
    assert len(lines(call.ask("c0.z", "A").answer)) == 16


@pytest.mark.parametrize("nsec3", [False, True])
def test_any_gets_data_and_no_proof(tmp_path: Path, nsec3: bool) -> None:
    """Also for types above RRSIG and NSEC: RFC 8482 section 4.1."""
    text = HEAD + f'a TLSA 3 1 1 {"ab" * 32}\na CAA 0 issue "ca.test"\n'
    call = BytesCall(tmp_path, {"z": fake_signed(text, "z", nsec3)})
    [rrset] = call.ask("a.z", "ANY").answer
    assert rrset.rdtype == dns.rdatatype.TLSA
