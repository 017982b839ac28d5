"""The kernel's and the driver's words for what they refuse: extended acknowledgments, for real."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator

import pytest

from xdpkit._core import _bpf
from xdpkit.bpf import link, loader
from xdpkit.errors import AttachError, SettingError
from xdpkit.lab.namespaces import Lab
from xdpkit.nic.os import ethtool, ethtool_features, names, netlink, xdp_refusal
from xdpkit.nic.os.ethtool import Channels
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.setup.device import Device

pytestmark = pytest.mark.netns


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(queues=2) as lab, lab.server.entered():
        yield lab


@pytest.fixture
def program(lab: Lab) -> Iterator[loader.Program]:
    program = loader.load("catch")
    yield program
    program.close()


def test_channels_beyond_what_there_is(lab: Lab) -> None:
    """An ioctl has no words; the same over netlink has."""
    ifname = lab.server.ifname
    before = ethtool.channels(ifname)[0]
    with pytest.raises(netlink.NetlinkError, match="exceeds maximum") as caught:
        ethtool.set_channels(ifname, Channels(rx=4000, tx=1, other=0, combined=0))
    assert caught.value.errno == errno.EINVAL
    assert ethtool.channels(ifname)[0] == before
    with pytest.raises(SettingError, match=r"\(Invalid argument\): .*exceeds maximum") as shown:
        Device(ifname).set("channels", {"rx": 4000, "tx": 1, "other": 0, "combined": 0})
    assert "\n" not in str(shown.value)


def test_what_is_accepted_is_set_once(lab: Lab) -> None:
    ifname = lab.server.ifname
    ethtool.set_channels(ifname, Channels(rx=1, tx=2, other=0, combined=0))
    assert ethtool.channels(ifname)[0].rx == 1
    ethtool_features.set_feature(ifname, "rx-gro", False)
    assert not ethtool_features.features(ifname)["rx-gro"].on


def test_a_setting_that_there_is_not(lab: Lab) -> None:
    """No words, and then no more than the errno; nothing is guessed."""
    with pytest.raises(SettingError) as caught:
        Device("nowhere0").get("channels")
    assert str(caught.value) == (
        "nowhere0: channels could not be read (No such device): the interface is gone"
    )


def interface_of(lab: Lab) -> Interface:
    return lab.server.interface()


def peer_mtu(lab: Lab, mtu: int) -> None:
    done = lab.client.run("ip", "link", "set", "client0", "mtu", str(mtu))
    assert done.returncode == 0, done.stderr


def test_why_a_driver_rejects_the_program(lab: Lab, program: loader.Program) -> None:
    """veth takes no packets that may be larger than a page: it says so, and no other guess is."""
    peer_mtu(lab, 9000)
    with pytest.raises(AttachError) as caught:
        link.attach(program, interface_of(lab), "native")
    assert "rejected the XDP program (Numerical result out of range): " in str(caught.value)
    assert "Peer MTU is too large to set XDP" in str(caught.value)
    assert "LRO" not in str(caught.value)
    peer_mtu(lab, 1500)
    fd, mode, _ = link.attach(program, interface_of(lab), "native")
    os.close(fd)
    assert mode == "native"


@pytest.mark.parametrize("mode", [_bpf.DRV_MODE, _bpf.SKB_MODE])
def test_a_program_that_is_accepted_after_all_is_taken_off(
    lab: Lab, program: loader.Program, mode: int
) -> None:
    assert xdp_refusal.words(interface_of(lab).index, program.fd, mode) == ""
    assert interface_of(lab).xdp_program is None


def test_another_program_came_first(lab: Lab, program: loader.Program) -> None:
    before = interface_of(lab)
    fd = _bpf.link_create(program.fd, before.index, _bpf.DRV_MODE)
    try:
        for mode in ("native", "generic"):
            with pytest.raises(AttachError, match="another XDP program is now on server0"):
                link.attach(program, before, mode)
        assert interface_of(lab).xdp_program is not None
    finally:
        os.close(fd)


def test_a_name_that_cannot_be_looked_up_is_not_gone(lab: Lab) -> None:
    """No such interface, and no descriptor to ask with: two answers."""
    with pytest.raises(OSError, match="No such device"):
        names.index_of("nowhere0")
    with pytest.raises(OSError, match="No such device"):
        names.name_of(1 << 30)
    index = names.index_of(lab.server.ifname)
    assert names.name_of(index) == lab.server.ifname
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            names.index_of(lab.server.ifname)
        with pytest.raises(OSError, match="Too many open files"):
            names.name_of(index)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_words_and_none() -> None:
    """A request that no kernel accepts, with what this kernel says of it."""
    with netlink.open_socket(netlink.NETLINK_GENERIC) as opened:
        family = netlink.family_id(opened, "ethtool")
        if family is None:
            pytest.skip("this kernel has no ethtool family")
        nobody = netlink.nested(1, netlink.attribute(2, b"nowhere0\0"))
        with pytest.raises(netlink.NetlinkError) as caught:
            netlink.generic(opened, family, 17, nobody, netlink.NLM_F_ACK)
    assert caught.value.errno == errno.ENODEV
    assert caught.value.words == "no device matches name"
    assert str(caught.value.strerror) == "No such device: no device matches name"
