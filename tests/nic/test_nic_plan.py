"""Which steps, in which order, for a NIC's state and the configuration."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from xdpkit.config.address import parse_address
from xdpkit.errors import NicError, QueueError
from xdpkit.nic.os.ethtool import Channels
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch, Rule, RuleTable
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.facts import NTUPLE, NicFacts
from xdpkit.nic.setup.plan import Wish, plan, wanted_rules

ON, OFF, NEVER = Feature(True, True), Feature(False, True), Feature(False, False)
STUCK = Feature(True, False)
NIC = NicFacts(
    "eth1",
    "ixgbe",
    channels=Channels(0, 0, 1, 4),
    most_channels=Channels(0, 0, 1, 8),
    rss=setting.DEFAULT,
    features={NTUPLE: OFF, "rx-lro": ON, "rx-gro-hw": NEVER, "rx-vlan-hw-parse": ON},
    rules=RuleTable(64, False),
    napi=dict.fromkeys(setting.NAPI, 0),
)
VETH = NicFacts("veth0", "veth", Channels(2, 2, 0, 0), Channels(4, 4, 0, 0))
SERVED = (parse_address("192.0.2.1"),)


def wish(
    queues: tuple[int, ...] = (2,),
    steering: str = "auto",
    served: tuple[str, ...] = ("192.0.2.1",),
    ports: tuple[int, ...] = (53,),
    defer_irqs: bool = False,
    irq_cpus: tuple[int, ...] = (),
) -> Wish:
    addresses = tuple(map(parse_address, served))
    return Wish(queues, steering, addresses, ports, defer_irqs, irq_cpus)


def lines(facts: NicFacts, wanted: Wish) -> list[str]:
    """The whole plan, as shell commands."""
    return [setting.line(facts.name, s.setting, s.value) for s in plan(facts, wanted).steps]


def with_(facts: NicFacts, **changes: object) -> NicFacts:
    return NicFacts(**{**vars(facts), **changes})  # type: ignore[arg-type]


def test_the_order() -> None:
    served = ("192.0.2.1@100", "2001:db8::1")
    wanted = wish((5,), served=served, ports=(53, 123), defer_irqs=True, irq_cpus=(3,))
    stale = RuleTable(64, False, {9: Rule(FlowMatch(ip_address("192.0.2.1"), 53).flow(), 1)})
    assert lines(with_(NIC, rules=stale), wanted) == [
        "ethtool -X eth1 default",
        "ethtool -L eth1 other 1 combined 6",
        "ethtool -N eth1 delete ID",
        "ethtool -K eth1 rx-ntuple-filter on",
        "ethtool -X eth1 weight 1 1 1 1 1 0",
        "ethtool -N eth1 flow-type udp4 dst-ip 192.0.2.1 dst-port 53 action 5",
        "ethtool -N eth1 flow-type udp4 dst-ip 192.0.2.1 dst-port 123 action 5",
        "ethtool -N eth1 flow-type udp6 dst-ip 2001:db8::1 dst-port 53 action 5",
        "ethtool -N eth1 flow-type udp6 dst-ip 2001:db8::1 dst-port 123 action 5",
        "ethtool -K eth1 rx-lro off",
        "ethtool -K eth1 rx-vlan-hw-parse off",
        "echo 3 > /proc/irq/NUMBER/smp_affinity_list",
        "echo 2 > /sys/class/net/eth1/napi_defer_hard_irqs",
        "echo 200000 > /sys/class/net/eth1/gro_flush_timeout",
    ]


def test_rss_leaves_all_but_our_queues_out() -> None:
    assert lines(NIC, wish(steering="rss")) == [
        "ethtool -L eth1 other 1 combined 4",
        "ethtool -X eth1 weight 0 0 1 0",
        "ethtool -K eth1 rx-lro off",
    ]


def test_interrupts_go_to_the_cpus_in_turn() -> None:
    steps = plan(NIC, wish((0, 2, 3), irq_cpus=(6, 4))).steps
    found = [(step.setting, step.value["cpus"]) for step in steps if "interrupt" in step.setting]
    assert found == [("interrupt 0", "6"), ("interrupt 2", "4"), ("interrupt 3", "6")]


def test_none_moves_nothing() -> None:
    made = plan(NIC, wish(steering="none"))
    assert [step.setting for step in made.steps] == ["channels", "feature rx-lro"]
    assert made.steering == "none" and made.notes == ("steering none: as configured",)


@pytest.mark.parametrize(
    "facts, wanted, steering, words",
    [
        (NIC, wish(), "ntuple", "rules in the NIC steer requests to queue 2"),
        (with_(NIC, features={NTUPLE: STUCK}), wish(), "ntuple", "rules in the NIC"),
        (with_(NIC, features={NTUPLE: NEVER}), wish(), "none", "(ixgbe) has no rules"),
        (VETH, wish((0,)), "none", "requests on queues other than 0 take the slow path"),
        (NIC, wish((0, 1, 2, 3)), "none", "all RX queues of eth1 are ours"),
        (NIC, wish((0, 1, 2, 3), "ntuple"), "ntuple", "queue 0, 1, 2, 3"),
        (NIC, wish((0, 1), "rss"), "rss", "all that eth1 receives arrives on queue 0, 1"),
    ],
)
def test_available_steering(facts: NicFacts, wanted: Wish, steering: str, words: str) -> None:
    made = plan(facts, wanted)
    assert made.steering == steering and words in made.notes[0]


@pytest.mark.parametrize(
    "facts, wanted, error, words",
    [
        (VETH, wish(steering="ntuple"), NicError, r'\(veth\) has no such rules: set "auto"$'),
        (VETH, wish(steering="rss"), NicError, r"\(veth\) has no RSS table"),
        (
            with_(NIC, features={}),
            wish(steering="ntuple"),
            NicError,
            '"auto" or "rss"',
        ),
        (NIC, wish((8,)), QueueError, "no RX queue 8: its driver has at most 8"),
        (VETH, wish((4,)), QueueError, "no RX queue 4: its driver has at most 4"),
    ],
)
def test_unavailable_steering(
    facts: NicFacts, wanted: Wish, error: type[NicError], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan(facts, wanted)


def test_separate_rx_and_tx_channels() -> None:
    assert lines(VETH, wish((2,)))[0] == "ethtool -L veth0 rx 3 tx 3"
    mixed = with_(NIC, channels=Channels(2, 0, 0, 2), most_channels=Channels(4, 4, 0, 8))
    assert lines(mixed, wish((4,), "none"))[0] == "ethtool -L eth1 rx 2 combined 3"
    assert lines(with_(VETH, channels=None, most_channels=None), wish((2,))) == []


def test_a_custom_table_is_reset_only_where_it_must_be() -> None:
    on = {NTUPLE: ON}
    own = with_(NIC, rss=[1] * 16, features=on)
    assert "ethtool -X eth1 default" not in lines(own, wish())
    assert "ethtool -X eth1 weight 1 1 0 1" in lines(own, wish())
    assert lines(own, wish((5,)))[0] == "ethtool -X eth1 default"
    assert "ethtool -X eth1 default" not in lines(own, wish((5,), "none"))


def test_what_cannot_be_turned_off_is_noted() -> None:
    made = plan(with_(NIC, features={"rx-lro": STUCK}), wish())
    assert made.notes[1:] == ("rx-lro of eth1 is on and cannot be turned off",)


@pytest.mark.parametrize("queues", [(3,), (3, 5), (3, 5, 7), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_every_source_has_one_queue(queues: tuple[int, ...], address: str) -> None:
    """Whatever the low bits of its address, exactly one rule matches."""
    rules = wanted_rules(wish(queues, served=(address,)))
    used = set()
    for source in range(64):
        [queue] = [to for match, to in rules.items() if source & match.mask == match.source]
        used.add(queue)
    assert used == set(queues)
    assert len(rules) < 2 * len(queues)


def test_one_rule_for_an_address_with_several_tags() -> None:
    wanted = wish(served=("192.0.2.1@100", "192.0.2.1@200", "192.0.2.1"))
    assert list(wanted_rules(wanted)) == [FlowMatch(ip_address("192.0.2.1"), 53)]


def test_rules_that_are_stale() -> None:
    address = ip_address("192.0.2.1")
    there = {
        1: FlowMatch(address, 53),
        2: FlowMatch(address, 53, 1, 3),
        3: FlowMatch(address, 5353),
        4: FlowMatch(ip_address("192.0.2.2"), 53),
    }
    rules = RuleTable(64, False, {at: Rule(match.flow(), 2) for at, match in there.items()})
    facts = with_(NIC, rules=rules, features={NTUPLE: ON})
    # With one queue, the first is just what is wanted; the one with a source mask conflicts.
    assert [s.setting for s in plan(facts, wish()).steps if s.value is None] == [
        "rule 192.0.2.1 53 0x1/0x3"
    ]
    assert [s.setting for s in plan(facts, wish((2, 3))).steps if s.value is None] == [
        "rule 192.0.2.1 53",
        "rule 192.0.2.1 53 0x1/0x3",
    ]
