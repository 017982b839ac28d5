"""``bench --geo`` in the lab, with a small pool; times and rates do not matter."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from required import missing

from xdpkit.bench import geo_knotd, geo_run, geo_site
from xdpkit.bench.geo_site import Sizes

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

SIZES = Sizes(servers=60, country_depth=10, city_depth=12, city_places=50)


def test_all_parts_with_a_small_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = geo_site.write_country_database(tmp_path, SIZES.country_depth)
    others, why = geo_knotd.installed(geo_site.geo_zone(SIZES.servers), database)
    if not others:
        missing(why["knotd"])
    database.unlink()
    # tests/bench counts instructions.
    monkeypatch.setattr(geo_run.shutil, "which", lambda _: None)
    monkeypatch.setattr(geo_site, "cache_directory", lambda: tmp_path)
    options = Namespace(rounds=1, seconds=0.2, load=5000)
    facts = geo_run.measure(options, lambda _: None, SIZES)
    assert facts["failed"] == [] and facts["mode"] == "native, copy"
    # Two ways of knotd, on the same zone: its module answers every question.
    names = ["plain", "geo", "geo, short list", "knotd-xdp geoip", "knotd geoip"]
    assert [row["name"] for row in facts["rates"]] == names
    assert all(row["answers_per_s"] > 0 and row["wrong"] == 0 for row in facts["rates"])
    assert list(facts["skipped"]) == ["GeoDNS"]
    box = facts["box"]
    assert box["answered"] > 0 and box["processes"] > 0
    assert min(box["resident_bytes"], box["reload_bytes"]) > 1 << 20
    assert [each.suffix for each in tmp_path.iterdir()] == [".mmdb"]
    assert len(facts["targets"]) == 7
