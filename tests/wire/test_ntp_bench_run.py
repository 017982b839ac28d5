"""``xdpkit bench --ntp`` from the command line, in the lab; times and rates do not matter."""

from __future__ import annotations

from pathlib import Path

from benching import bench

from xdpkit.bench import ntp_error, ntp_rates


def test_all_parts(tmp_path: Path) -> None:
    found = bench(tmp_path, "--ntp", "--rounds", "1", "--seconds", "0.1")

    interleaved = found["interleaved"]
    assert interleaved["answers_per_s"] > 0
    assert interleaved["wrong"] == interleaved["lost"] == 0
    assert interleaved["share"] > 0.5
    assert interleaved["tx_true_share"] == 1.0 and interleaved["tx_timestamps"] == "completion"

    for mode in ("basic", "interleaved"):
        assert found["offset"][mode]["best_delay_us"] > 0

    errors = {
        (row["load"], row["compensation"], row["control_plane"]): row
        for row in found["transmit_error"]
    }
    assert len(errors) == len(ntp_error.LOADS) * 4
    for row in errors.values():
        assert row["p1"] <= row["p10"] <= row["p50"] <= row["p90"] <= row["p99"]
        assert row["replies"] == sum(row["histogram"].values()) > 0
        if row["compensation"] == "off":
            # A clock read before the kick is never later than the transmit time.
            assert min(map(int, row["histogram"])) >= 0

    rates = {row["name"]: row for row in found["rates"]}
    assert list(rates) == [case.name for case in ntp_rates.CASES]
    assert rates["plain"]["ratio_to_plain"] == 1.0
    assert all(row["wrong"] == row["lost"] == 0 for row in rates.values())
