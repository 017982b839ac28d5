"""The table of drivers: every row is reachable, and has a source and a command."""

from __future__ import annotations

import re
from typing import Any

import pytest
from checkout import CHECKOUT
from nic_facts import FEATURES, FIXED, GOOD, ON, but, driver

from xdpkit.doctor.checks_xdp import IN_PLAY
from xdpkit.doctor.driver_support import SUPPORT, native_source, zerocopy_source
from xdpkit.doctor.finding import SEVERITIES, Wanted
from xdpkit.doctor.quirks import QUIRKS, Quirk
from xdpkit.doctor.run import examine
from xdpkit.nic.os.ethtool import Channels
from xdpkit.nic.os.netdev import Features

# Facts in which a row's feature applies.
USED: dict[str, dict[str, Any]] = {
    "half": {
        "device__channels": Channels(0, 0, 0, 8),
        "device__most_channels": Channels(0, 0, 0, 8),
    },
    "guest": {"device__features": FEATURES | {"rx-gro-hw": FIXED}},
    "unpaired": {"xdp__features": Features(())},
    "lro": {"device__features": FEATURES | {"rx-lro": ON}},
}
UNUSED: dict[str, dict[str, Any]] = {
    "half": {
        "device__channels": Channels(0, 0, 0, 4),
        "device__most_channels": Channels(0, 0, 0, 8),
    },
    "guest": {"device__features": FEATURES | {"rx-gro-hw": ON}},
    "ntuple": {"device__features": {}, "device__rules": None},
    "queues": {"device__channels": Channels(0, 0, 0, 1)},
}


def findings_of(quirk: Quirk, wanted: Wanted, **changes: Any) -> list[Any]:
    kernel = max(quirk.since, (6, 1)) if quirk.since > (0, 0) or quirk.before < (7, 0) else (6, 12)
    if quirk.channels:
        many = Channels(0, 0, 0, quirk.channels + changes.pop("more", 1))
        changes = {"device__channels": many, "device__most_channels": many} | changes
    changes = {"kernel__version": kernel, "device__driver": driver(quirk.driver)} | changes
    findings = examine(but(GOOD, **changes), wanted).findings
    return [finding for finding in findings if finding.what == quirk.what]


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: f"{quirk.driver}-{quirk.feature}")
def test_row(quirk: Quirk) -> None:
    assert quirk.severity in SEVERITIES and quirk.feature in IN_PLAY
    assert quirk.source.startswith("https://")
    wanted = Wanted(poll="busy" if quirk.feature == "busy" else "wait")
    [finding] = findings_of(quirk, wanted, **USED.get(quirk.feature, {}))
    assert finding.source == quirk.source and finding.severity == quirk.severity
    assert "{" not in finding.command
    if quirk.feature in UNUSED:
        assert not findings_of(quirk, wanted, **UNUSED[quirk.feature])
    if quirk.feature in ("native", "zerocopy", "half", "guest", "unpaired", "lro"):
        assert not findings_of(quirk, Wanted(mode="generic"), **USED.get(quirk.feature, {}))
    if quirk.feature == "busy":
        assert not findings_of(quirk, Wanted())
    if quirk.channels:
        assert not findings_of(quirk, wanted, more=0)
    if quirk.since > (0, 0):
        assert not findings_of(quirk, wanted, kernel__version=(6, quirk.since[1] - 1))
    if quirk.before < (7, 0):
        assert not findings_of(quirk, wanted, kernel__version=quirk.before)


def test_half_of_the_channels_by_number() -> None:
    [row] = [quirk for quirk in QUIRKS if quirk.feature == "half"]
    [finding] = findings_of(row, Wanted(), **USED["half"])
    assert finding.command == "ethtool -L eth1 combined 4"


@pytest.mark.parametrize("name", SUPPORT)
def test_support(name: str) -> None:
    support = SUPPORT[name]
    commit = re.compile(r"https://github\.com/torvalds/linux/commit/[0-9a-f]{12}")
    assert commit.fullmatch(native_source(name))
    assert (support.zerocopy is None) == (zerocopy_source(name) == "")
    assert support.zerocopy is None or commit.fullmatch(zerocopy_source(name))
    assert support.zerocopy is None or support.zerocopy >= support.native
    assert support.most_mtu == 0 or 1500 <= support.most_mtu <= 4096


def test_support_of_a_driver_that_nobody_knows() -> None:
    assert native_source("e1000") == zerocopy_source("e1000") == ""


def test_the_page_has_every_driver() -> None:
    lines = (CHECKOUT / "docs" / "nic.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    page = {cells[0]: cells for cells in rows if len(cells) == 5}
    assert set(page) == {"driver", "---", *SUPPORT, *(quirk.driver for quirk in QUIRKS)}
    for name, support in SUPPORT.items():
        versions = [
            "-" if version is None else f"{version[0]}.{version[1]}"
            for version in (support.native, support.zerocopy)
        ]
        assert page[name][1:4] == [*versions, str(support.most_mtu or "")]
    for quirk in QUIRKS:
        assert page[quirk.driver][4], f"no remark about {quirk.driver}"
