"""Whatever makes it: a zone's arena is byte for byte what it was."""

from __future__ import annotations

import pytest
from make_arena_digests import DIGESTS, digests


@pytest.mark.timeout(400)  # under ASAN, most of it for signing the zones
def test_every_zone_of_the_corpus_compiles_to_the_same_bytes() -> None:
    wanted = dict(line.split(maxsplit=1) for line in DIGESTS.read_text().splitlines())
    found = dict(line.split(maxsplit=1) for _, line in digests())
    differ = {name: (wanted.get(name), found.get(name)) for name in wanted | found}
    assert not {name: both for name, both in differ.items() if both[0] != both[1]}
