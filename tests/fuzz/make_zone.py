"""Writes zone_arenas.h for fuzz_zone.c: small arenas of one zone each, as C arrays.

Run it after changing the arena's layout (a unit test says when): python tests/fuzz/make_zone.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from dns_fake_signer import fake_signed

from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone

HERE = Path(__file__).parent
HEADER = HERE / "zone_arenas.h"

HEAD = "$TTL 300\n@ SOA a b 1 2 3 4 5\n@ NS a\n"
SIGNED = """a A 192.0.2.1
*.w A 192.0.2.7
x.ent TXT "text"
sub NS a.sub
a.sub A 192.0.2.8
"""

# Few names each: every word of an arena is then changed often, and every name is asked for.
ZONES = {
    "bare": HEAD,
    "alias": HEAD + "a A 192.0.2.1\nx CNAME a\ny CNAME x\nfar CNAME a.sibling.\n*.c CNAME x\n"
    "lost CNAME a.broken.\nback CNAME to-alias.sibling.\n",
    "below": HEAD + 'a MX 1 b.a\nb.a A 192.0.2.2\n*.w TXT "w"\nsub NS n.sub\nn.sub A 192.0.2.3\n'
    "dn DNAME w\nout DNAME sibling.\n"
    "in NS n.in\n",
    "nsec": fake_signed(HEAD + SIGNED + "dn DNAME w\n", "nsec"),
    "nsec3": fake_signed(HEAD + SIGNED, "nsec3", nsec3=True),
    "optout": fake_signed(HEAD + SIGNED, "optout", nsec3=True, opt_out=True),
}

# These stay as they are: their names lead to those above, and one is below a cut of one of them.
SIBLINGS = {
    "sibling": HEAD
    + "a A 192.0.2.9\nto-bare CNAME q.bare.\nto-alias CNAME far.alias.\nto-cut CNAME q.sub.below.\n"
    "to-dname CNAME q.dn.nsec.\nto-wildcard CNAME q.w.nsec3.\nto-opt CNAME q.sub.optout.\n"
    "m MX 1 a.nsec.\ninto DNAME below.\n",
    "sub.nsec": HEAD + "a A 192.0.2.8\n",
}


def arena(name: str, text: str) -> bytes:
    """The arena of a zone, identical on each call."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as out:
        path = Path(directory, f"{name}.zone")
        path.write_text(text)
        size = compile_zone(read_zone(path), out.fileno(), seed=1)
        return os.pread(out.fileno(), size, 0)


def arrays(table: str, zones: dict[str, str]) -> list[str]:
    """Lines of C: an array for each zone, and one of all."""
    lines, listed = [], []
    for zone, text in zones.items():
        data, name = arena(zone, text), f"zone_{zone.replace('.', '_')}"
        rows = [data[start : start + 20] for start in range(0, len(data), 20)]
        lines.append(f"_Alignas(64) static const unsigned char {name}[{len(data)}] = {{")
        lines += [*("".join(f"{byte}," for byte in row) for row in rows), "};"]
        listed.append(f"{{{name}, sizeof {name}}},")
    return [*lines, f"static const struct zone_bytes {table}[] = {{", *listed, "};"]


def header() -> str:
    """All arenas as the text of zone_arenas.h."""
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Made by tests/fuzz/make_zone.py from the zones there; do not edit. */",
        "/* clang-format off */",
        "struct zone_bytes {const unsigned char *data; size_t size;};",
        *arrays("zone_arenas", ZONES),
        *arrays("zone_siblings", SIBLINGS),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    HEADER.write_text(header())
