"""What doctor says, and what it goes by: pure functions of the facts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from xdpkit.config import Config
from xdpkit.config.address import ServedAddress
from xdpkit.doctor.driver_support import SUPPORT
from xdpkit.doctor.probe import Facts
from xdpkit.doctor.probe_host import Process
from xdpkit.nic.fact import Unknown, known

# In the order in which they are shown: it cannot serve; it could be better; good to know.
SEVERITIES = ("blocks", "costs", "note")

# The ports that are looked at where no configuration says otherwise.
PORTS = {"ntp": 123, "dns": 53}


@dataclass(frozen=True)
class Finding:
    """One thing, what follows from it, and the line to type; ``source`` where it is not ours.

    ``command`` is empty where nothing on this machine mends it.
    """

    id: str
    severity: str
    what: str
    consequence: str
    command: str
    source: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is to be served: of a configuration, or what one would have without saying much."""

    queues: tuple[int, ...] = ()
    """None: not known."""
    mode: str = "auto"
    poll: str = "wait"
    steering: str = "auto"
    rx_timestamps: str = "auto"
    addresses: tuple[ServedAddress, ...] = ()
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    ntp_sources: tuple[str, ...] = ()

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
            ports=config.ports(),
            ntp_sources=tuple(map(str, config.ntp.source)) if config.ntp else (),
        )


@dataclass(frozen=True)
class Check:
    """Looks for one kind of trouble, and says ``fine`` where there is none.

    That is left unsaid where one of ``reads`` (dotted names of facts) is unknown, or ``has`` false.
    """

    find: Callable[[Facts, Wanted], Iterable[Finding]]
    fine: str = ""
    reads: tuple[str, ...] = ()
    has: Callable[[Facts], bool | None] = lambda facts: True

    def says_fine(self, facts: Facts) -> bool:
        """Whether ``fine`` is true of these facts, where nothing was found."""
        if not self.fine or any(isinstance(at(facts, name), Unknown) for name in self.reads):
            return False
        return bool(self.has(facts))


def called(facts: Facts) -> str:
    """The interface's name, as a shell takes it."""
    return shlex.quote(facts.link.interface.name)


def driver_of(facts: Facts) -> str:
    """How to call the driver in a sentence."""
    if facts.link.loopback:
        return "the loopback"
    return f"the driver {facts.device.driver_name or 'of ' + facts.link.interface.name}"


def guest_offloads_fixed(facts: Facts) -> bool:
    """Whether virtio's host merges packets and does not let the guest stop it."""
    features = known(facts.device.features)
    merging = features.get("rx-gro-hw") if features else None
    virtio = facts.device.driver_name == "virtio_net"
    return virtio and merging is not None and merging.on and not merging.changeable


def is_unpaired(facts: Facts) -> bool:
    """Whether a veth that can have native XDP has it not, for want of RX queues."""
    features, driver = known(facts.xdp.features), facts.device.driver_name
    return driver == "veth" and features is not None and "basic" not in features.acts


def has_native(facts: Facts) -> bool | None:
    """Whether the driver runs XDP programs; None where nobody says."""
    if facts.link.loopback or guest_offloads_fixed(facts):
        return False
    if features := known(facts.xdp.features):
        return "basic" in features.acts
    support = SUPPORT.get(facts.device.driver_name)
    return facts.kernel.version >= support.native if support else None


def has_zerocopy(facts: Facts) -> bool | None:
    """Whether the driver hands packets over without a copy; None where nobody says."""
    if not (native := has_native(facts)):
        return native
    if features := known(facts.xdp.features):
        return "xsk-zerocopy" in features.acts
    support = SUPPORT.get(facts.device.driver_name)
    if support is None:
        return None
    return support.zerocopy is not None and facts.kernel.version >= support.zerocopy


def expected(facts: Facts, wanted: Wanted) -> str:
    """The mode that ``xdpkit run`` would get, in words."""
    if wanted.mode == "generic":
        return "generic mode"
    native = has_native(facts)
    if not native:
        return "a mode that only a start tells" if native is None else "generic mode"
    if wanted.mode == "copy" or not has_zerocopy(facts):
        return "native mode, copying"
    return "native mode, zero-copy"


def receiving(facts: Facts) -> int:
    """RX queues that are in use, as far as known."""
    channels = known(facts.device.channels)
    if channels is not None and channels.receiving:
        return channels.receiving
    return facts.link.interface.rx_queues


def has_ntuple(facts: Facts) -> bool:
    """Whether the driver has rules, on or to be turned on."""
    features = known(facts.device.features)
    ntuple = features.get("rx-ntuple-filter") if features else None
    return known(facts.device.rules) is not None or (
        ntuple is not None and (ntuple.on or ntuple.changeable)
    )


def at(facts: Facts, path: str) -> object:
    """The fact of a dotted name."""
    found: object = facts
    for part in path.split("."):
        found = getattr(found, part)
        if isinstance(found, Unknown):
            break
    return found


def stop(process: Process) -> str:
    """The line that ends somebody's program."""
    return f"systemctl stop {shlex.quote(process.unit)}" if process.unit else f"kill {process.pid}"


def listed(numbers: Iterable[object]) -> str:
    """Numbers as a sentence and taskset have them."""
    return ",".join(map(str, numbers))
