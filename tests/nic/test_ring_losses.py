"""What the NIC lost, by the names that drivers give it; and the counters of a real interface."""

from __future__ import annotations

import pytest

from xdpkit.lab.namespaces import Lab
from xdpkit.nic.os import ring_losses as module
from xdpkit.nic.os.ethtool_stats import driver_statistics, link_statistics
from xdpkit.nic.os.ring_losses import RingLosses, ring_losses


def test_several_names_of_one_loss_are_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "link_statistics", lambda _: {"rx_missed_errors": 5, "rx_dropped": 99}
    )
    driver = {"rx_out_of_buffer": 7, "rx_packets": 1000, "rx0_xdp_drop": 3}
    monkeypatch.setattr(module, "driver_statistics", lambda _: driver)
    found = ring_losses("eth1", 2)
    assert found == RingLosses(7, {"rx_missed_errors": 5, "rx_out_of_buffer": 7})
    later = RingLosses(9, {"rx_missed_errors": 6, "rx_out_of_buffer": 9})
    assert later.since(found).lost == 2
    # The driver was loaded again.
    assert RingLosses(1, {"rx_out_of_buffer": 1}).since(found).lost == 1


def test_what_cannot_be_read_counts_nothing() -> None:
    assert ring_losses("nowhere0", 999_999) == RingLosses(0, {})


@pytest.mark.netns
def test_a_real_interface() -> None:
    with Lab() as lab, lab.server.entered():
        index = lab.server.interface().index
        assert lab.client.run("ping", "-c", "1", lab.server.ipv4).returncode == 0
        driver, link = driver_statistics("server0"), link_statistics(index)
        assert "rx_queue_0_xdp_packets" in driver and "peer_ifindex" in driver
        shown = lab.server.run("ethtool", "-S", "server0").stdout
        assert {line.split(":")[0].strip() for line in shown.splitlines()[1:]} == set(driver)
        assert link["rx_missed_errors"] == 0 and link["rx_packets"] > 0
        assert ring_losses("server0", index).lost == 0
