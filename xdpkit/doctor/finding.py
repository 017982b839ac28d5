"""Findings, and the predicates behind them: pure functions of the facts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from xdpkit.config import Config
from xdpkit.config.address import ServedAddress
from xdpkit.doctor.driver_support import SUPPORT
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.nic.fact import Unknown, value_of
from xdpkit.nic.os.port_holders import Process

# In the order shown: prevents serving; could be better; good to know.
SEVERITIES = ("blocks", "costs", "note")

# The ports to check where no configuration says otherwise.
PORTS = {"ntp": 123, "dns": 53}


@dataclass(frozen=True)
class Finding:
    """One thing, its consequence, and the command to run; ``source`` if others found it.

    ``command`` is empty where nothing on this machine fixes it.
    """

    id: str
    severity: str
    what: str
    consequence: str
    command: str
    source: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is to be served: by a configuration, or by default without one."""

    queues: tuple[int, ...] = ()
    """Empty: unknown."""
    mode: str = "auto"
    poll: str = "wait"
    steering: str = "auto"
    rx_timestamps: str = "auto"
    addresses: tuple[ServedAddress, ...] = ()
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    ntp_sources: tuple[str, ...] = ()
    route_check: bool = False

    @classmethod
    def of(cls, config: Config) -> Wanted:
        """What a configuration asks for."""
        interface = config.interface
        return cls(
            queues=interface.queues,
            mode=interface.mode,
            poll=interface.poll,
            steering=interface.steering,
            rx_timestamps=interface.rx_timestamps,
            addresses=interface.addresses,
            route_check=interface.route_check,
            ports=config.ports(),
            ntp_sources=tuple(map(str, config.ntp.source)) if config.ntp else (),
        )


@dataclass(frozen=True)
class Check:
    """Looks for one kind of trouble, and reports ``fine`` where there is none.

    But not where one of ``reads`` (dotted names of facts) is unknown, or ``has`` is false.
    """

    find: Callable[[ProbeFacts, Wanted], Iterable[Finding]]
    fine: str = ""
    reads: tuple[str, ...] = ()
    has: Callable[[ProbeFacts], bool | None] = lambda facts: True

    def says_fine(self, facts: ProbeFacts) -> bool:
        """Whether to report ``fine`` for these facts, given that nothing was found."""
        if not self.fine or any(isinstance(fact_at(facts, name), Unknown) for name in self.reads):
            return False
        return bool(self.has(facts))


def shell_name(facts: ProbeFacts) -> str:
    """The interface's name, quoted for a shell."""
    return shlex.quote(facts.link.interface.name)


def driver_of(facts: ProbeFacts) -> str:
    """How to refer to the driver in a sentence."""
    if facts.link.loopback:
        return "the loopback"
    return f"the driver {facts.device.driver_name or 'of ' + facts.link.interface.name}"


def guest_offloads_fixed(facts: ProbeFacts) -> bool:
    """Whether a virtio host merges packets, and the guest cannot turn that off."""
    features = value_of(facts.device.features)
    merging = features.get("rx-gro-hw") if features else None
    virtio = facts.device.driver_name == "virtio_net"
    return virtio and merging is not None and merging.on and not merging.changeable


def is_unpaired(facts: ProbeFacts) -> bool:
    """Whether a veth lacks native XDP only because it has too few RX queues."""
    features, driver = value_of(facts.xdp.features), facts.device.driver_name
    return driver == "veth" and features is not None and "basic" not in features.acts


def has_native(facts: ProbeFacts) -> bool | None:
    """Whether the driver runs XDP programs; None where that is unknown."""
    if facts.link.loopback or guest_offloads_fixed(facts):
        return False
    if features := value_of(facts.xdp.features):
        return "basic" in features.acts
    support = SUPPORT.get(facts.device.driver_name)
    return facts.kernel.version >= support.native if support else None


def has_zerocopy(facts: ProbeFacts) -> bool | None:
    """Whether the driver supports zero-copy; None where that is unknown."""
    if not (native := has_native(facts)):
        return native
    if features := value_of(facts.xdp.features):
        return "xsk-zerocopy" in features.acts
    support = SUPPORT.get(facts.device.driver_name)
    if support is None:
        return None
    return support.zerocopy is not None and facts.kernel.version >= support.zerocopy


def expected_mode(facts: ProbeFacts, wanted: Wanted) -> str:
    """The mode that ``xdpkit run`` would get, in words."""
    if wanted.mode == "generic":
        return "generic mode"
    native = has_native(facts)
    if not native:
        return "a mode that only a start will show" if native is None else "generic mode"
    if wanted.mode == "copy" or not has_zerocopy(facts):
        return "native mode, copy"
    return "native mode, zero-copy"


def rx_queues_in_use(facts: ProbeFacts) -> int:
    """The number of RX queues in use, as far as known."""
    channels = value_of(facts.device.channels)
    if channels is not None and channels.receiving:
        return channels.receiving
    return facts.link.interface.rx_queues


def has_ntuple(facts: ProbeFacts) -> bool:
    """Whether the driver has rules (ntuple), on now or not yet."""
    features = value_of(facts.device.features)
    ntuple = features.get("rx-ntuple-filter") if features else None
    return value_of(facts.device.rules) is not None or (
        ntuple is not None and (ntuple.on or ntuple.changeable)
    )


def fact_at(facts: ProbeFacts, path: str) -> object:
    """The fact with a dotted name."""
    found: object = facts
    for part in path.split("."):
        found = getattr(found, part)
        if isinstance(found, Unknown):
            break
    return found


def stop_command(process: Process) -> str:
    """The command that stops another program."""
    return f"systemctl stop {shlex.quote(process.unit)}" if process.unit else f"kill {process.pid}"


def comma_separated(numbers: Iterable[object]) -> str:
    """Numbers in a form that suits both a sentence and taskset."""
    return ",".join(map(str, numbers))
