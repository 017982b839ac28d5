"""Known problems of drivers, and on which kernels: data only, every row with its source."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.doctor.driver_support import COMMIT, Version

_NETVSC = "https://docs.kernel.org/networking/device_drivers/ethernet/microsoft/netvsc.html"
_KNOT = "https://www.knot-dns.cz/docs/latest/html/operation.html#mode-xdp"
_FIREDANCER = "https://github.com/firedancer-io/firedancer/blob/main/src/app/shared/"

# For Debian, with backports among the package sources.
NEWER_KERNEL = (
    'apt-get install -t "$(. /etc/os-release; echo $VERSION_CODENAME)-backports" '
    "linux-image-$(dpkg --print-architecture)"
)


@dataclass(frozen=True)
class Quirk:
    """A problem of a driver, on kernels from ``since`` to below ``before``, if ``feature`` applies:

        driver      always              native      an XDP program runs in the driver
        zerocopy    zero-copy           ntuple      the driver has rules
        channels    more channels than ``channels`` are in use
        half        more than half of the maximum channels are in use
        queues      there is more than one RX queue to choose from
        guest       offloads of a VM's host that the guest cannot turn off
        unpaired    veth: fewer RX queues than the peer has TX queues
        lro         large receive offload is on
        busy        poll = "busy"

    ``command`` may contain {ifname}, and {half} and {most} of the maximum channels.
    """

    driver: str
    feature: str
    severity: str
    what: str
    consequence: str
    source: str
    command: str = ""
    since: Version = (0, 0)
    before: Version = (1000, 0)
    channels: int = 0


_CONFIGURE_COPY = 'xdpkit.toml: [interface] mode = "copy"'

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "virtio_net",
        "guest",
        "costs",
        "the host merges packets for this guest (rx-gro-hw is on, and fixed)",
        "the driver refuses native XDP, so generic mode is used; the host's administrator can "
        "change that (in libvirt: <driver><guest csum='off' tso4='off' tso6='off' ecn='off' "
        "ufo='off'/></driver>)",
        "https://github.com/facebookincubator/katran/issues/18",
        "virsh edit DOMAIN",
    ),
    Quirk(
        "virtio_net",
        "native",
        "note",
        "attaching a program changes the queues in use",
        "'ethtool -l' may keep showing the old number: check again while xdpkit runs, and set the "
        "number of queues before it starts",
        "https://github.com/xdp-project/xdp-tutorial/issues/163",
        "ethtool -l {ifname}",
    ),
    Quirk(
        "mlx5_core",
        "native",
        "costs",
        "Firedancer avoids native XDP on kernel 6.4 when it chooses a mode by itself",
        "another kernel is the safer choice",
        _FIREDANCER + "fd_config_auto.c",
        NEWER_KERNEL,
        since=(6, 4),
        before=(6, 5),
    ),
    Quirk(
        "mlx5_core",
        "zerocopy",
        "note",
        "the number of channels is frozen while a zero-copy socket is open",
        "set it before xdpkit starts",
        COMMIT + "db05815b36cb",
        "ethtool -l {ifname}",
    ),
    Quirk(
        "ice",
        "zerocopy",
        "costs",
        "zero-copy reportedly corrupts memory or panics the kernel under load",
        "copy mode does not run that code",
        "https://github.com/intel/ethernet-linux-ice/issues/59",
        _CONFIGURE_COPY,
    ),
    Quirk(
        "ice",
        "native",
        "costs",
        "Knot DNS requires kernel 6.10.4 or later with this driver",
        "on older kernels, the NIC can hang when sockets are closed under load "
        "(github.com/intel/ethernet-linux-ice/issues/61)",
        _KNOT,
        NEWER_KERNEL,
        before=(6, 10),
    ),
    Quirk(
        "ice",
        "channels",
        "costs",
        "more than 127 channels are in use",
        "the most with which XDP works on this driver, according to Knot DNS",
        _KNOT,
        "ethtool -L {ifname} combined 127",
        channels=127,
    ),
    Quirk(
        "ice",
        "queues",
        "note",
        "RDMA, where irdma is loaded, holds the channels",
        "changing their number then fails: 'Device or resource busy'",
        _FIREDANCER + "commands/configure/fd_ethtool_ioctl.c",
        "modprobe -r irdma",
    ),
    Quirk(
        "i40e",
        "channels",
        "costs",
        "more than 64 channels are in use",
        "the most with which XDP works on this driver, according to Knot DNS",
        _KNOT,
        "ethtool -L {ifname} combined 64",
        channels=64,
    ),
    Quirk(
        "i40e",
        "ntuple",
        "note",
        "rules added while a zero-copy socket is open may not take effect",
        "add the rules before xdpkit starts",
        "https://github.com/intel/ethernet-linux-i40e/issues/16",
        "ethtool -n {ifname}",
    ),
    Quirk(
        "ixgbe",
        "native",
        "note",
        "Knot DNS reports that XDP is unstable with this driver",
        "test it under load before you rely on it",
        _KNOT,
        "xdpkit blast --help",
    ),
    Quirk(
        "ixgbe",
        "channels",
        "costs",
        "more than 64 channels are in use",
        "the most with which XDP works on this driver, according to Knot DNS",
        _KNOT,
        "ethtool -L {ifname} combined 64",
        channels=64,
    ),
    Quirk(
        "ixgbe",
        "ntuple",
        "note",
        "turning ntuple on resets the RSS table",
        "set the table after that, never before",
        _FIREDANCER + "commands/configure/ethtool-channels.c",
        "ethtool -x {ifname}",
    ),
    Quirk(
        "ixgbe",
        "busy",
        "costs",
        "busy polling reportedly does not work",
        "replies may stay in the ring",
        "https://github.com/xdp-project/bpf-examples/issues/138",
        'xdpkit.toml: [interface] poll = "wait"',
        since=(6, 14),
    ),
    Quirk(
        "ena",
        "zerocopy",
        "costs",
        "zero-copy is half as fast as copy mode, and was seen to reset the device",
        "0.67 versus 1.26 million packets per second",
        "https://github.com/amzn/amzn-drivers/issues/221",
        _CONFIGURE_COPY,
    ),
    Quirk(
        "ena",
        "half",
        "blocks",
        "more than half of the channels are in use",
        "XDP needs an extra TX queue for each: the driver rejects the program",
        "https://github.com/amzn/amzn-drivers/issues/345",
        "ethtool -L {ifname} combined {half}",
    ),
    Quirk(
        "gve",
        "zerocopy",
        "note",
        "what this driver calls zero-copy copies each packet once",
        "expect the rates of copy mode",
        COMMIT + "fd8e40321a12",
    ),
    Quirk(
        "hv_netvsc",
        "lro",
        "note",
        "the driver refuses XDP programs while large receive offload is on",
        "xdpkit run turns it off first",
        _NETVSC,
        "ethtool -K {ifname} lro off",
    ),
    Quirk(
        "hv_netvsc",
        "native",
        "note",
        "with accelerated networking, packets arrive on the VF",
        "the program is propagated to it, but its queues are not this interface's: turn "
        "accelerated networking off, or serve the VF's interface",
        _NETVSC,
        "ip link show",
    ),
    Quirk(
        "vmxnet3",
        "lro",
        "note",
        "attaching an XDP program turns off large receive offload, which is on",
        "other programs' bulk traffic costs more CPU while xdpkit runs",
        COMMIT + "54f00cce1178",
        "ethtool -K {ifname} lro off",
    ),
    Quirk(
        "e1000",
        "driver",
        "note",
        "this driver (VirtualBox's default card) has no native XDP in any kernel",
        "a virtio card does: VirtualBox's --nictype1 virtio",
        "https://github.com/xdp-project/xdp-tools/issues/469",
        "VBoxManage modifyvm VM --nictype1 virtio",
    ),
    Quirk(
        "bonding",
        "driver",
        "blocks",
        "a bond has no queues of its own",
        "packets are redirected where they arrive: run one instance per member, with the bond's "
        "addresses in [interface] addresses",
        COMMIT + "9e2ee5c7e7c3",
        "cat /sys/class/net/{ifname}/bonding/slaves",
    ),
    Quirk(
        "team",
        "driver",
        "blocks",
        "a team has no queues of its own",
        "packets are redirected where they arrive: run one instance per member, with the team's "
        "addresses in [interface] addresses",
        "https://docs.kernel.org/networking/team.html",
        "ip link show master {ifname}",
    ),
    Quirk(
        "veth",
        "unpaired",
        "costs",
        "the peer has more TX queues than this end has RX queues",
        "there is no native XDP until this end has as many",
        "https://github.com/torvalds/linux/blob/v6.12/drivers/net/veth.c",
        "ethtool -L {ifname} rx {most}",
    ),
    Quirk(
        "veth",
        "native",
        "note",
        "local senders leave checksums to hardware, which a veth does not have",
        "such requests are counted as csum_partial; turn the offload off on the peer",
        "https://github.com/xdp-project/xdp-tutorial/issues/151",
        "ethtool -K PEER tx off",
    ),
    Quirk(
        "tun",
        "driver",
        "note",
        "the other end is a program (a virtual machine's, a VPN's)",
        "rates and times are those of that program",
        COMMIT + "761876c857cb",
        "ip -details tuntap show",
    ),
)
