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

from xdpkit.services.dns.compiler.compile import compile_zones, read_zones

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
    "alias": HEAD + "a A 192.0.2.1\nx CNAME a\ny CNAME x\nfar CNAME a.sibling.\n*.c CNAME x\n",
    "below": HEAD + 'a MX 1 b.a\nb.a A 192.0.2.2\n*.w TXT "w"\nsub NS n.sub\nn.sub A 192.0.2.3\n'
    "dn DNAME w\nout DNAME sibling.\n",
    "nsec": fake_signed(HEAD + SIGNED + "dn DNAME w\n", "nsec"),
    "nsec3": fake_signed(HEAD + SIGNED, "nsec3", nsec3=True),
    "optout": fake_signed(HEAD + SIGNED, "optout", nsec3=True, opt_out=True),
}


def arena(name: str) -> bytes:
    """The arena of one of ZONES, identical on each call."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as out:
        path = Path(directory, f"{name}.zone")
        path.write_text(ZONES[name])
        size = compile_zones(read_zones([path]), out.fileno(), seed=1)
        return os.pread(out.fileno(), size, 0)


def header() -> str:
    """All arenas as the text of zone_arenas.h."""
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Made by tests/fuzz/make_zone.py from the zones there; do not edit. */",
        "/* clang-format off */",
    ]
    for name in ZONES:
        data = arena(name)
        rows = [data[start : start + 20] for start in range(0, len(data), 20)]
        lines.append(f"static const unsigned char zone_{name}[{len(data)}] = {{")
        lines += ["".join(f"{byte}," for byte in row) for row in rows]
        lines.append("};")
    lines.append(
        "static const struct { const unsigned char *data; size_t size; } zone_arenas[] = {"
    )
    lines += [f"{{zone_{name}, sizeof zone_{name}}}," for name in ZONES]
    return "\n".join([*lines, "};", ""])


if __name__ == "__main__":
    HEADER.write_text(header())
