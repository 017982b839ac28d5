"""Writes arena_digests.txt: what the compiler makes of each zone of tests/support/zone_corpus.py.

A digest of the arena with seed 1, or of the error for a zone that is refused. Run it after a change
that is to change arenas: python tests/services/dns/make_arena_digests.py
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from dns_zones import compiled
from zone_corpus import corpus

from xdpkit.errors import ZoneError

DIGESTS = Path(__file__).parent / "arena_digests.txt"


def made_of(path: Path) -> tuple[str, bytes]:
    """Whether a master file could be compiled, and the arena or the error."""
    try:
        return "arena", compiled(path, seed=1)
    except ZoneError as error:
        return "error", "\n".join(error.lines()).replace(f"{path.parent}/", "").encode()


def digests() -> Iterator[tuple[str, str]]:
    """The name of each zone of the corpus, and the line about it."""
    with tempfile.TemporaryDirectory() as directory:
        for name, origin, text in corpus():
            path = Path(directory, f"{origin}.zone" if origin != "." else "..zone")
            path.write_text(text)
            kind, data = made_of(path)
            digest = blake2b(data, digest_size=16).hexdigest()
            yield name, f"{name} {kind} {len(data)} {digest}"


if __name__ == "__main__":
    DIGESTS.write_text("".join(f"{line}\n" for _, line in digests()))
