"""Writes what fuzz_dns.c needs: the arenas of small zones as a C array, and the seed corpus.

Run it after changing the arena's layout (a unit test says when): python tests/fuzz/make_dns.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import dns.edns
import dns.message

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from dns_fake_signer import fake_signed

from xdpkit.services.dns.compiler.arena import next_start
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import zone_files

HERE = Path(__file__).parent

# Everything an image can hold, and relocated pointers: wildcards, referrals, denials, alias chains.
ZONES = {
    "z": """$TTL 300
@ SOA ns1 hostmaster 1 7200 3600 1209600 60
@ NS ns1
@ NS ns.other.test.
ns1 A 192.0.2.1
www CNAME web
web A 192.0.2.3
web AAAA 2001:db8::3
*.w MX 10 mail.w
*.w MX 20 mail.other.test.
mail.w A 192.0.2.4
*.c CNAME web
*.away CNAME missing
a.b.ent TXT "text"
sub NS ns.sub
sub NS ns1
ns.sub A 192.0.2.5
big TXT "%s" "%s" "%s"
bigger MX 10 %s
loop CNAME loop
dn DNAME w
dnout DNAME q.test.
dnlong DNAME %s
dnchild DNAME child
todn CNAME x.dn
"""
    % (("x" * 250,) * 3 + (".".join(["m" * 60] * 3),) * 2),
    "child.z": "$TTL 300\n@ SOA a b 1 2 3 4 5\n@ NS a\n* A 192.0.2.6\nback DNAME dn.z.\n",
}

# Proofs with their pointers. No client here checks signatures, so they are fake.
SIGNED = """$TTL 300
@ SOA a b 1 2 3 4 5
@ NS a.{origin}
a A 192.0.2.1
*.w A 192.0.2.7
*.c CNAME missing
x.ent TXT "text"
sub NS a.sub
a.sub A 192.0.2.8
secure NS a.sub
secure DS 1 8 2 abababababababababababababababababababababababababababababababab
dn DNAME w
"""
for _origin, _nsec3, _opt_out in (("n", False, False), ("h", True, False), ("o", True, True)):
    ZONES[_origin] = fake_signed(SIGNED.format(origin=_origin), _origin, _nsec3, _opt_out)

QUESTIONS = """z SOA,z ANY,WWW.z A,web.z AAAA,q.w.z MX,q.q.q.w.z MX,q.c.z A,q.c.z TXT,q.away.z A,
b.ent.z A,x.dn.z A,y.dnout.z A,
{long}.dnlong.z A,
q.dnchild.z A,x.back.child.z MX,todn.z MX,nothing.z A,
x.sub.z A,sub.z DS,big.z TXT,bigger.z MX,loop.z A,child.z DS,
q.child.z A,test A,. NS,z AXFR,z TYPE65280"""

SIGNED_QUESTIONS = (
    """SOA a,A x,A q.w,TXT q.w,A q.c,A ent,A x.sub,DS sub,DS secure,A x.secure,A q.dn,MX q.dn"""
)


def arenas() -> bytes:
    """The arenas of ZONES, one after another, identical on each call."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as out:
        for name, text in ZONES.items():
            Path(directory, f"{name}.zone").write_text(text)
        size = 0
        for path in zone_files(Path(directory)):
            at = next_start(size)
            size = at + compile_zone(read_zone(path), out.fileno(), at, seed=1)
        return os.pread(out.fileno(), size, 0)


def header() -> str:
    """The arenas as the text of dns_arena.h."""
    data = arenas()
    rows = [data[start : start + 20] for start in range(0, len(data), 20)]
    return "\n".join(
        [
            "/* SPDX-License-Identifier: Apache-2.0 */",
            "/* Made by tests/fuzz/make_dns.py from the zones there; do not edit. */",
            "/* clang-format off */",
            f"_Alignas(64) static const unsigned char dns_arenas[{len(data)}] = {{",
            *("".join(f"{byte}," for byte in row) for row in rows),
            "};",
            "",
        ]
    )


def seeds() -> dict[str, bytes]:
    """Corpus files: one byte of option bits (see fuzz_dns.c), then a request."""
    found = {}
    for index, question in enumerate(QUESTIONS.replace("\n", "").format(long="m" * 60).split(",")):
        name, rdtype = question.split()
        for edns in (-1, 0):
            request = dns.message.make_query(name, rdtype, use_edns=edns, payload=1232, id=index)
            found[f"q{index:02}{'e' if edns == 0 else ''}"] = b"\x4d" + request.to_wire()
    for index, question in enumerate(SIGNED_QUESTIONS.split(",")):
        rdtype, name = question.split()
        for origin in "nho":
            request = dns.message.make_query(
                f"{name}.{origin}", rdtype, want_dnssec=True, payload=1232, id=index
            )
            found[f"s{index:02}{origin}"] = b"\x05" + request.to_wire()
    request = dns.message.make_query("z", "SOA", use_edns=1, payload=512, id=1)
    found["badvers"] = b"\0" + request.to_wire()
    request = dns.message.make_query("z", "SOA", use_edns=0, id=1)
    request.use_edns(0, payload=512, options=[dns.edns.GenericOption(10, b"8 bytes!")])
    found["option"] = b"\0" + request.to_wire()
    options = {
        "cookie": (3, b"\0\1\0\0"),
        "server": (10, b"8 bytes!\1" + bytes(15)),
        "subnet": (8, b"\0\1\x18\0\xc0\0\2"),
    }
    for kind, (code, value) in options.items():
        both = [dns.edns.GenericOption(10, b"8 bytes!"), dns.edns.GenericOption(code, value)]
        request = dns.message.make_query("z", "SOA", use_edns=0, options=both[::-1], id=1)
        found[kind] = b"\x44" + request.to_wire()
    request = dns.message.make_query("version.bind", "TXT", "CH", use_edns=0, id=1)
    found["chaos"] = b"\4" + request.to_wire()
    found["bare"] = b"\4" + bytes.fromhex(
        "00010000000000000000000100002904d000000000000c000a00080102030405060708"
    )
    found["header"] = b"\0" + bytes.fromhex("000178000000000000000000")
    return found


def main() -> None:
    """Writes the header and the corpus."""
    (HERE / "dns_arena.h").write_text(header())
    corpus = HERE / "corpus" / "dns"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (corpus / name).write_bytes(data)


if __name__ == "__main__":
    main()
