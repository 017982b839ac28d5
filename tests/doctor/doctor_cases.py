"""Findings for facts that are not as they should be, with the command that fixes each."""

from __future__ import annotations

from nic_facts import CHRONYD, FEATURES, FIXED, FOREIGN, NAMED, ON, driver, listener

from xdpkit.config.address import ServedAddress, parse_address
from xdpkit.doctor.finding import Wanted
from xdpkit.doctor.probe_host import Clock, Node
from xdpkit.doctor.probe_policy import FilterRule, Filters
from xdpkit.doctor.probe_xdp import Program
from xdpkit.doctor.quirks import NEWER_KERNEL
from xdpkit.nic.fact import Unknown
from xdpkit.nic.os.ethtool import Channels, Coalescing, Rings
from xdpkit.nic.os.ethtool_rss import RXH_L4_B_0_1, Rss
from xdpkit.nic.os.ethtool_rxnfc import Flow, Rule, RuleTable
from xdpkit.nic.os.hwtstamp import Setting
from xdpkit.nic.os.interrupts import Interrupt
from xdpkit.nic.os.netdev import Features
from xdpkit.nic.os.port_holders import Process

TWO = Wanted(queues=(2, 3))
NATIVE_ONLY = Features(("basic", "redirect"), None, ("timestamp",), ())
RULE = Rule(Flow(2, bytes(52), bytes(52)), 3)


def served(*texts: str) -> tuple[ServedAddress, ...]:
    return tuple(map(parse_address, texts))


# ID, severity, changes to GOOD, the command, and what is wanted, if not TWO.
CASES = tuple(
    (each[0], each[1], each[2], each[3], each[4] if len(each) > 4 else TWO)
    for each in (
        # kernel, compiler, privileges
        ("kernel-old", "blocks", {"kernel__version": (5, 15)}, NEWER_KERNEL),
        ("kernel-no-af-xdp", "blocks", {"kernel__af_xdp": False}, NEWER_KERNEL),
        ("jit-off", "costs", {"kernel__jit": 0}, "sysctl -w net.core.bpf_jit_enable=1"),
        ("jit-harden", "costs", {"kernel__jit_harden": 2}, "sysctl -w net.core.bpf_jit_harden=1"),
        (
            *("lockdown", "note", {"kernel__lockdown": "confidentiality"}),
            "cat /sys/kernel/security/lockdown",
        ),
        ("bcc-missing", "blocks", {"kernel__bcc": None}, "apt-get install python3-bpfcc"),
        (
            *("bcc-broken", "blocks", {"kernel__bcc": Unknown("OSError: libbcc.so.0")}),
            "apt-get install --reinstall python3-bpfcc libbpfcc",
        ),
        ("headers-missing", "blocks", {"kernel__headers": False}, "apt-get install linux-libc-dev"),
        (
            "capabilities-unattainable",
            "blocks",
            {"privileges__unattainable": ("CAP_BPF", "CAP_IPC_LOCK")},
            "docker run --network host --cap-add NET_ADMIN --cap-add NET_RAW "
            "--cap-add BPF --cap-add PERFMON --cap-add NET_BIND_SERVICE --cap-add IPC_LOCK IMAGE",
        ),
        (
            *("capabilities-missing", "note", {"privileges__missing": ("CAP_BPF",)}),
            "sudo xdpkit doctor eth1",
        ),
        # machine
        (
            "memlock",
            "blocks",
            {"host__memlock_kib": 8192, "privileges__unattainable": ("CAP_IPC_LOCK",)},
            "prlimit --memlock=unlimited xdpkit run -c FILE",
        ),
        (
            "huge-pages",
            "note",
            {"host__nodes": {0: Node((0,), 64, 64), 1: Node((4, 5, 6, 7), 1, 10)}},
            "echo 17 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages",
        ),
        (
            *("numa-far", "costs", {"privileges__cpus": (0, 1, 4, 5)}),
            "taskset -c 4,5,6,7 xdpkit run -c FILE",
        ),
        ("sleep", "costs", {"host__idle_us": 133}, "cpupower idle-set -D 20"),
        (
            *("governor", "costs", {"host__governors": ("performance", "powersave")}),
            "cpupower frequency-set -g performance",
        ),
        (
            "interrupt-far",
            "costs",
            {"device__interrupts": (Interrupt(99, "mlx5_comp2", 2, (0, 1)),)},
            "echo 4,5,6,7 > /proc/irq/99/smp_affinity_list",
        ),
        (
            *("irqbalance", "note", {"host__irqbalance": Process(5, "irqbalance")}),
            "systemctl stop irqbalance.service",
        ),
        (
            "port-taken",
            "costs",
            {"host__listeners": (listener("udp", "0.0.0.0", 123, CHRONYD),)},
            "echo 'port 11123' >> /etc/chrony/chrony.conf && systemctl restart chrony.service",
        ),
        (
            "port-taken",
            "costs",
            {
                "host__listeners": (
                    listener("udp", "192.0.2.1", 53, NAMED),
                    listener("tcp", "192.0.2.1", 53, NAMED),
                )
            },
            "systemctl stop named.service",
        ),
        (
            *("port-taken", "costs"),
            {"host__listeners": (listener("tcp", "::", 53, Process(9, "dnsd")),)},
            "kill 9",
        ),
        (
            *("port-taken", "costs"),
            {"host__listeners": (listener("udp", "2001:db8::1", 53, None),)},
            "sudo ss -lnp 'sport = :53'",
        ),
        (
            *("clock", "note", {"host__clock": Clock(False, 16_000_000)}),
            "apt-get install chrony && systemctl start chrony.service",
        ),
        (
            *("clock", "costs", {"host__clock": Clock(False, 16_000_000)}),
            "apt-get install chrony && systemctl start chrony.service",
            Wanted(queues=(2,), ntp_sources=("kernel",)),
        ),
        # policy
        (
            *("filter-bypassed", "note"),
            {"policy__filters": Filters((FilterRule("inet filter input", 7),))},
            "xdpkit.toml: allow and deny in [ntp] and [dns], [ntp.limit], [dns.rrl]",
        ),
        (
            *("filter-legacy", "note", {"policy__legacy": ("filter",)}),
            "xdpkit.toml: allow and deny in [ntp] and [dns], [ntp.limit], [dns.rrl]",
        ),
        (
            *("rp-filter", "note", {"link__rp_filter": 1}),
            "xdpkit.toml: allow and deny in [ntp] and [dns], [ntp.limit], [dns.rrl]",
        ),
        (
            *("dead-routes", "note", {"policy__dead_routes": ("203.0.113.0/24",)}),
            "xdpkit.toml: [interface] route_check = true",
        ),
        # link
        ("down", "blocks", {"link__interface__up": False}, "ip link set dev eth1 up"),
        ("no-carrier", "costs", {"link__carrier": False}, "ethtool eth1"),
        (
            *("no-address", "costs", {"link__addresses": ()}),
            "ip address add ADDR/LENGTH dev eth1",
        ),
        (
            *("address-elsewhere", "costs", {}, "ip address add 192.0.2.9/32 dev eth1"),
            Wanted(queues=(2,), addresses=served("192.0.2.9", "192.0.2.8@100")),
        ),
        (
            *("address-elsewhere", "costs", {}, "ip address add 2001:db8::9/128 dev eth1"),
            Wanted(queues=(2,), addresses=served("2001:db8::9")),
        ),
        (
            "member",
            "note",
            {"link__master": "br0", "link__master_kind": "bridge"},
            "ip address show dev br0",
        ),
        (
            "member",
            "blocks",
            {"link__master": "br0", "link__master_kind": "bridge", "link__addresses": ()},
            "ip address show dev br0",
        ),
        (
            *("offload-rx-vlan-hw-parse", "note", {}, "ethtool -K eth1 rx-vlan-hw-parse off"),
            Wanted(queues=(2,), addresses=served("192.0.2.8@100")),
        ),
        (
            *("offload-rx-vlan-hw-parse", "note", {"link__vlans": {"eth1.7": 7}}),
            "ethtool -K eth1 rx-vlan-hw-parse off",
        ),
        (
            "offload-rx-vlan-hw-parse",
            "costs",
            {
                "link__vlans": {"eth1.7": 7},
                "device__features": FEATURES | {"rx-vlan-hw-parse": FIXED},
            },
            "",
        ),
        ("mtu", "blocks", {"link__mtu": 9000}, "ip link set dev eth1 mtu 3000"),
        (
            *("mtu", "blocks", {"link__mtu": 3000, "device__driver": driver("gve")}),
            "ip link set dev eth1 mtu 2032",
        ),
        ("mtu-near", "note", {"link__mtu": 3498}, "ip link set dev eth1 mtu 3000"),
        (
            *("offload-rx-lro", "note", {"device__features": FEATURES | {"rx-lro": ON}}),
            "ethtool -K eth1 rx-lro off",
        ),
        (
            *("offload-rx-gro-hw", "costs", {"device__features": FEATURES | {"rx-gro-hw": FIXED}}),
            "",
        ),
        (
            *("offload-rx-udp-gro-forwarding", "note"),
            {"device__features": FEATURES | {"rx-udp-gro-forwarding": ON}},
            "ethtool -K eth1 rx-udp-gro-forwarding off",
        ),
        (
            "gre-segmentation",
            "note",
            {
                "link__tunnels": ("gre1",),
                "device__features": FEATURES | {"tx-gre-segmentation": ON},
            },
            "ethtool -K eth1 tx-gre-segmentation off",
        ),
        # queues
        (
            *("queue-missing", "blocks", {}, "xdpkit.toml: [interface] queues = [7]"),
            Wanted(queues=(2, 8)),
        ),
        (
            *("queue-missing", "blocks", {"device__most_channels": Channels(0, 0, 0, 3)}),
            "xdpkit.toml: [interface] queues = [2]",
        ),
        (
            *("queue-unused", "note", {"device__channels": Channels(0, 0, 0, 3)}),
            "ethtool -L eth1 combined 4",
        ),
        (
            "queue-unused",
            "note",
            {
                "device__channels": Channels(2, 2, 0, 0),
                "device__most_channels": Channels(8, 8, 0, 0),
            },
            "ethtool -L eth1 rx 3 tx 3",
            Wanted(queues=(2,)),
        ),
        (
            "no-ntuple",
            "blocks",
            {"device__rules": None, "device__features": {}},
            'xdpkit.toml: [interface] steering = "auto"',
            Wanted(queues=(2,), steering="ntuple"),
        ),
        (
            *("no-rss", "blocks", {"device__rss": None}),
            'xdpkit.toml: [interface] steering = "auto"',
            Wanted(queues=(2,), steering="rss"),
        ),
        (
            "no-steering",
            "costs",
            {"device__rules": None, "device__features": {}},
            "xdpkit.toml: [interface] queues = [0, 1, 2, 3, 4, 5, 6, 7]",
        ),
        (
            *("rules-full", "costs", {"device__rules": RuleTable(1, False, {0: RULE})}),
            "ethtool -n eth1",
        ),
        (
            "rss-starved",
            "costs",
            {
                "device__rules": None,
                "device__features": {},
                "device__rss": Rss((0, 1, 3), bytes(40), 1),
            },
            "ethtool -X eth1 default",
        ),
        (
            *("hash-ports", "note", {"device__hash_udp4": RXH_L4_B_0_1}),
            "ethtool -N eth1 rx-flow-hash udp4 sd",
            Wanted(queues=(2, 3), steering="none"),
        ),
        (
            *("hash-ports", "note", {"device__hash_udp6": RXH_L4_B_0_1}),
            "ethtool -N eth1 rx-flow-hash udp6 sd",
            Wanted(queues=(2, 3), steering="rss"),
        ),
        (
            *("ring-short", "note", {"device__rings": Rings(256, 256, 8192, 8192)}),
            "ethtool -G eth1 rx 2048",
        ),
        (
            *("interrupt-late", "costs"),
            {"device__coalescing": Coalescing(100, 32, 8, 32, True, False)},
            "ethtool -C eth1 adaptive-rx off rx-usecs 8",
        ),
        # XDP
        (
            *("foreign-program", "blocks", {"xdp__programs": (FOREIGN,)}),
            "ip link set dev eth1 xdpdrv off",
        ),
        (
            "foreign-program",
            "blocks",
            {"xdp__programs": (Program(41, "generic", "steer", (NAMED,), True),)},
            "systemctl stop named.service",
        ),
        (
            "foreign-program",
            "blocks",
            {"xdp__programs": (Program(41, "native", None, (Process(9, "x"),), True),)},
            "kill 9",
        ),
        (
            "foreign-program",
            "blocks",
            {"xdp__programs": (Program(41, "generic", "x", (Process(9, "x"),), False),)},
            "ip link set dev eth1 xdpgeneric off",
        ),
        ("journal", "note", {"xdp__journal": True}, "xdpkit restore eth1"),
        ("no-native", "costs", {"xdp__features": Features(())}, ""),
        (
            *("no-native", "blocks", {"xdp__features": Features(())}),
            'xdpkit.toml: [interface] mode = "generic"',
            Wanted(queues=(2,), mode="copy"),
        ),
        (
            "no-native",
            "blocks",
            {"xdp__features": Features(()), "device__driver": driver("veth")},
            'xdpkit.toml: [interface] mode = "generic"',
            Wanted(queues=(2,), mode="copy"),
        ),
        (
            "no-native",
            "costs",
            {
                "xdp__features": None,
                "device__driver": driver("vmxnet3"),
                "kernel__version": (6, 1),
            },
            NEWER_KERNEL,
        ),
        (
            *("no-redirect", "blocks", {"xdp__features": Features(("basic",))}),
            'xdpkit.toml: [interface] mode = "generic"',
        ),
        ("no-zerocopy", "note", {"xdp__features": NATIVE_ONLY}, ""),
        (
            *("no-zerocopy", "blocks", {"xdp__features": NATIVE_ONLY}),
            'xdpkit.toml: [interface] mode = "copy"',
            Wanted(queues=(2,), mode="zerocopy"),
        ),
        (
            *("no-hardware-stamps", "blocks", {"kernel__btf": False}),
            'xdpkit.toml: [interface] rx_timestamps = "auto"',
            Wanted(queues=(2,), rx_timestamps="hardware"),
        ),
        (
            *("stamps-ptp-only", "costs", {"device__stamps": Setting(0, 1, 12)}),
            "hwstamp_ctl -i eth1 -t 1 -r 1",
        ),
    )
)
