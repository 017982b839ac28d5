"""Writes geo_arenas.h for fuzz_geo.c: small arenas with choices, as C arrays.

Run it after changing the arena's layout (a unit test says when): python tests/fuzz/make_geo.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from geo_arena import AAAA, ALL, MX, TXT, Draw, GeoArena, Images, Option, Variants, apex_images

HERE = Path(__file__).parent
HEADER = HERE / "geo_arenas.h"

STATUSES = ("f/a", "f/b")


def arenas() -> list[GeoArena]:
    """Each kind of step, draw and choice."""
    near = Draw([bytes([n] * 4) for n in range(5)], [3, 0, 1, 2**32 - 1, 7], [0, 1, 2, 1, 2])
    far = Draw([bytes([n] * 16) for n in range(3)], None, [2, 2, 2], hosts=3, rdtype=AAAA)
    texts = Draw([b"\1a", b"\0", b"\3abc"], [1, 2, 3], rdtype=TXT, any_size=True)
    exchanges = Draw([b"\0\5\1a\0", b"\0\6\1b\0"], hosts=ALL, rdtype=MX)
    images = Images([Option(at, n, n) for n, at in enumerate(apex_images()[:3])])
    nested = [
        [near, far],
        [texts],
        [images, exchanges],
        [Variants([Option(0, 3), Option(1, 1), Option(2)]), near],
        [Variants([Option(3, 3), Option(0, 1)])],
    ]
    many = Draw([bytes([n] * 4) for n in range(40)], [n * n for n in range(40)], hosts=20)
    return [
        GeoArena([[near]], STATUSES),
        GeoArena(nested, STATUSES, classes=5, variant_of=(0, 1, 2, 3, 4), choice_fallback=True),
        GeoArena([[many, images]], STATUSES),
    ]


def header() -> str:
    """All arenas as the text of geo_arenas.h."""
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Made by tests/fuzz/make_geo.py from the arenas there; do not edit. */",
        "/* clang-format off */",
        "struct geo_bytes {const unsigned char *data; size_t size;};",
    ]
    listed = []
    for number, arena in enumerate(arenas()):
        data, name = arena.build(), f"geo_arena{number}"
        rows = [data[start : start + 20] for start in range(0, len(data), 20)]
        lines.append(f"_Alignas(64) static const unsigned char {name}[{len(data)}] = {{")
        lines += [*("".join(f"{byte}," for byte in row) for row in rows), "};"]
        listed.append(f"{{{name}, sizeof {name}}},")
    return "\n".join([*lines, "static const struct geo_bytes geo_arenas[] = {", *listed, "};", ""])


if __name__ == "__main__":
    HEADER.write_text(header())
