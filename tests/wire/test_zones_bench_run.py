"""``xdpkit bench --zones`` from the command line, in the lab; times and rates do not matter."""

from __future__ import annotations

from pathlib import Path

import pytest
from benching import bench
from peers import peer

# Four servers are started several times each, and an arena of 1.2 MB of records is compiled.
SECONDS = 300


@pytest.mark.timeout(SECONDS)
def test_all_parts_with_few_zones(tmp_path: Path) -> None:
    others = {"knotd": "knot", "nsd": "nsd", "named": "bind9"}
    for program, package in others.items():
        peer(package, f"sbin/{program}")
    options = ("--zone-count", "12", "--rounds", "1", "--seconds", "0.2", "--load", "10000")
    found = bench(tmp_path, "--zones", *options, timeout=SECONDS - 10)

    names = ["xdpkit", *others]
    starts = {row["name"]: row for row in found["zone_starts"]}
    assert list(starts) == names and found["skipped"] == {}
    for row in starts.values():
        assert row["first_s"] > 0 and row["resident_bytes"] > 1 << 20
        # Every zone answered, not just those that time was taken with.
        assert row["silent_max"] == row["one_silent_max"] == 0
    assert starts["xdpkit"]["cache_bytes"] > 0 and "again_s" not in starts["named"]
    large = {(row["name"], row["signed"]): row for row in found["large_zones"]}
    assert list(large) == [(name, signed) for signed in (True, False) for name in names]
    assert all(row["names"] == 1200 and row["first_s"] > 0 for row in large.values())
    edits = {row["name"]: row for row in found["zone_edits"]}
    assert list(edits) == names and all(row["new_answer_s"] > 0 for row in edits.values())
    assert [row["name"] for row in found["rates"]] == ["1 zone", "12 zones"]
    assert all(row["answers_per_s"] and row["ns_per_answer"] for row in found["rates"])
    assert found["alias"]["per_file_byte"] > 0
    assert found["compiling"]["total"]["answered"] > 0
    assert found["random_edits"]["edits"] == 12 and found["random_edits"]["answered"] > 0
