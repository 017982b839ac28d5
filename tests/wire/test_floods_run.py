"""``xdpkit bench --floods`` from the command line, in the lab; times and rates do not matter."""

from __future__ import annotations

from pathlib import Path

from benching import bench

from xdpkit.bench import floods


def test_all_floods(tmp_path: Path) -> None:
    found = bench(tmp_path, "--floods", "--rounds", "1", "--seconds", "0.5")

    rows = {(row["flood"], row["limits"]): row for row in found["floods"]}
    assert len(rows) == len(floods.LIMITS) * len(floods.floods())
    for (flood, limits), row in rows.items():
        groups = row["clients"]
        assert set(groups) == {group.name for group in floods.GROUPS}
        assert all(counts["asked"] > 0 for counts in groups.values())
        assert row["offered_per_s"] > 0 and row["wrong"] == 0
        by_tcp = sum(counts["by_tcp"] for counts in groups.values())
        if limits == "off":
            assert by_tcp == 0
        elif flood != "random-subdomain":
            # Its address has reached its limit before its first query.
            assert groups["victim"]["by_tcp"] > 0
        assert groups["elsewhere"]["by_tcp"] == 0
    # Large answers to one address: a truncated reply is no longer than its query.
    assert rows["any-txt", "on"]["amplification"] < rows["any-txt", "off"]["amplification"]
