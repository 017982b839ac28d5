"""From facts to findings: what blocks, what costs, which command to run."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from doctor_cases import CASES, NATIVE_ONLY, TWO
from hypothesis import given
from hypothesis import strategies as st
from nic_facts import GOOD, NAMED, but, driver, listener

from xdpkit.doctor.finding import SEVERITIES, Finding, Wanted
from xdpkit.doctor.probe_host import Clock
from xdpkit.doctor.probe_xdp import Program
from xdpkit.doctor.run import Report, document, examine
from xdpkit.errors import NicError
from xdpkit.nic.fact import Unknown
from xdpkit.nic.os.ethtool import Channels
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rss import RXH_L4_B_0_1, Rss
from xdpkit.nic.os.interrupts import Interrupt
from xdpkit.nic.os.netdev import Features
from xdpkit.nic.os.port_holders import Process
from xdpkit.nic.setup import facts as plan_facts
from xdpkit.nic.setup import plan


def report(wanted: Wanted = TWO, **changes: Any) -> Report:
    return examine(but(GOOD, **changes), wanted)


def quiet() -> set[str]:
    """The findings for GOOD."""
    return {finding.id for finding in report().findings}


def found(id: str, wanted: Wanted = TWO, **changes: Any) -> Finding:
    """The one finding with this ID."""
    facts = report(wanted, **changes).findings
    [finding] = [finding for finding in facts if finding.id == id]
    assert all(finding.what and finding.consequence for finding in facts)
    return finding


def test_all_is_well() -> None:
    """The driver's own quirk is the only finding."""
    good = report()
    assert good.serves and good.expected == "native mode, zero-copy"
    assert [(each.id, each.severity) for each in good.findings] == [
        ("mlx5_core-zerocopy", "note"),
    ]
    assert good.fine == (
        *("kernel", "BPF is compiled", "bcc", "privileges", "memory", "NUMA node"),
        *("CPU sleep and frequency", "ports", "clock", "link", "addresses", "VLAN tags", "MTU"),
        *("offloads", "queues", "steering", "rings and interrupts", "no other XDP program"),
        *("native XDP", "zero-copy", "hardware timestamps"),
    )


@pytest.mark.parametrize("id, severity, changes, command, wanted", CASES)
def test_finding(
    id: str, severity: str, changes: dict[str, Any], command: str, wanted: Wanted
) -> None:
    finding = found(id, wanted, **changes)
    assert (finding.severity, finding.command) == (severity, command)
    assert report(wanted, **changes).serves == (severity != "blocks")


def test_every_finding_has_its_test() -> None:
    from pathlib import Path

    from xdpkit.doctor import run as doctor

    tested = {each[0] for each in CASES}
    ids = set()
    for path in Path(doctor.__file__).parent.glob("checks_*.py"):
        lines = path.read_text().splitlines()
        ids |= {
            lines[index + 1].strip().strip('",')
            for index, line in enumerate(lines)
            if line.endswith("Finding(")
        }
    made = {id for id in ids if id.replace("-", "").isalpha()}
    assert len(made) > 30
    assert made - tested == set()


@pytest.mark.parametrize(
    "changes, wanted",
    [
        # An xdpkit that is serving has its program there, and holds the ports.
        (
            {
                "xdp__serving": Process(77, "xdpkit"),
                "xdp__journal": True,
                "xdp__programs": (Program(3, "native", "steer"),),
                "host__listeners": (listener("udp", "192.0.2.1", 53, Process(77, "xdpkit")),),
            },
            TWO,
        ),
        # A port or an address that is not ours, or TCP for NTP.
        ({"host__listeners": (listener("udp", "0.0.0.0", 5353, NAMED),)}, TWO),
        ({"host__listeners": (listener("udp", "127.0.0.53", 53, NAMED),)}, TWO),
        ({"host__listeners": (listener("tcp", "0.0.0.0", 123, NAMED),)}, TWO),
        # A CPU on another node, which no worker gets.
        ({"privileges__cpus": (4, 5, 1)}, TWO),
        # Time comes from a daemon, not from the kernel's clock.
        ({"host__clock": Clock(False, 0)}, Wanted(queues=(2,), ntp_sources=("127.0.0.1:11123",))),
        # An RSS table without our queues, but rules are available.
        ({"device__rss": Rss((0, 1), bytes(40), 1)}, TWO),
        # An interrupt of a queue that is not ours, and one on the NIC's node.
        (
            {
                "device__interrupts": (
                    Interrupt(9, "a", 7, (0,)),
                    Interrupt(8, "b", 2, (0, 4)),
                    Interrupt(7, "c", None, (0,)),
                )
            },
            TWO,
        ),
        # All traffic goes to our queues, whatever the table says before a start.
        (
            {
                "device__rules": None,
                "device__features": {},
                "device__rss": Rss((0, 1), bytes(40), 1),
            },
            Wanted(queues=(2,), steering="rss"),
        ),
        # Rules that spread clients by address.
        ({"device__hash_udp4": RXH_L4_B_0_1}, TWO),
        ({"link__mtu": 3000}, TWO),
        # Jumbo frames in generic mode.
        ({"link__mtu": 9000}, Wanted(queues=(2,), mode="generic")),
        # A memory limit that does not apply to us.
        ({"host__memlock_kib": 64}, TWO),
    ],
)
def test_no_findings(changes: dict[str, Any], wanted: Wanted) -> None:
    assert {each.id for each in report(wanted, **changes).findings} <= quiet()


def test_what_is_unknown_is_not_called_fine() -> None:
    nothing = Unknown("Operation not permitted")
    blind = report(
        kernel__jit=nothing,
        privileges__missing=nothing,
        host__listeners=nothing,
        device__driver=nothing,
        device__features=nothing,
        device__channels=nothing,
        device__rules=nothing,
        device__rss=nothing,
        device__node=nothing,
        device__interrupts=nothing,
        device__stamps=nothing,
        device__timestamping=nothing,
        xdp__features=nothing,
        xdp__serving=nothing,
    )
    assert blind.serves and blind.expected == "a mode that only a start will show"
    assert set(blind.fine).isdisjoint(
        {"BPF is compiled", "privileges", "ports", "offloads", "queues", "native XDP", "steering"}
    )


@pytest.mark.parametrize(
    "features, version, driver_name, mode, expected",
    [
        (Features(()), (6, 12), "e1000", "auto", "generic mode"),
        (NATIVE_ONLY, (6, 12), "veth", "auto", "native mode, copy"),
        (None, (6, 1), "ice", "auto", "native mode, zero-copy"),
        (None, (6, 1), "ice", "copy", "native mode, copy"),
        (None, (6, 1), "ice", "generic", "generic mode"),
        (None, (6, 1), "igb", "auto", "native mode, copy"),
        (None, (6, 1), "vmxnet3", "auto", "generic mode"),
        (None, (6, 1), "no-such-driver", "auto", "a mode that only a start will show"),
    ],
)
def test_expected_mode(
    features: Features | None,
    version: tuple[int, int],
    driver_name: str,
    mode: str,
    expected: str,
) -> None:
    changes = {
        "xdp__features": features,
        "kernel__version": version,
        "device__driver": driver(driver_name),
    }
    assert report(Wanted(mode=mode), **changes).expected == expected


@pytest.mark.parametrize("steering", ["auto", "ntuple", "rss", "none"])
@pytest.mark.parametrize("queues", [(0,), (3,), (7,), (8,), (2, 9)])
@pytest.mark.parametrize("most", [4, 8])
@pytest.mark.parametrize("ntuple", [True, False])
@pytest.mark.parametrize("rss", [True, False])
def test_what_the_plan_refuses_is_blocking(
    steering: str, queues: tuple[int, ...], most: int, ntuple: bool, rss: bool
) -> None:
    """And nothing about queues and steering is that the plan does not refuse."""
    changes: dict[str, Any] = {
        "link__interface__rx_queues": most,
        "device__channels": Channels(0, 0, 0, 2),
        "device__most_channels": Channels(0, 0, 0, most),
        "device__features": {"rx-ntuple-filter": Feature(False, ntuple)},
        "device__rules": None,
        "device__rss": Rss((0, 1), b"", 1) if rss else None,
    }
    facts = plan_facts.NicFacts(
        "eth1",
        channels=changes["device__channels"],
        most_channels=changes["device__most_channels"],
        rss="default" if rss else None,
        features=changes["device__features"],
    )
    try:
        plan.plan(facts, plan.Wish(queues, steering, (), (53,)))
        refused = False
    except NicError:
        refused = True
    assert report(Wanted(queues=queues, steering=steering), **changes).serves != refused


FACTS = [
    f"{part.name}__{field.name}"
    for part in fields(GOOD)
    for field in fields(getattr(GOOD, part.name))
    if str(field.type).startswith("Fact[")
]


@given(
    st.sets(st.sampled_from(FACTS)),
    st.sampled_from([Unknown("why"), None]),
    st.sampled_from([case[2] for case in CASES]),
    st.sampled_from([TWO, Wanted(), *(case[4] for case in CASES)]),
)
def test_whatever_is_unknown(
    names: set[str], instead: Unknown | None, changes: dict[str, Any], wanted: Wanted
) -> None:
    """No check fails, none with findings is called fine, and everything fits into JSON."""
    made = report(wanted, **(changes | dict.fromkeys(names, instead)))
    json.dumps(document([made]))
    assert len(set(made.fine)) == len(made.fine)
    assert all(finding.severity in SEVERITIES for finding in made.findings)
    unknown = document([made])["interfaces"][0]["unknown"]
    if instead is not None:
        assert unknown.keys() >= {name.replace("__", ".") for name in names}
