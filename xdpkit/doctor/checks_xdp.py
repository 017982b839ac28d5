"""What is to be said of XDP: modes, other programs, stamps, and the driver's quirks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from xdpkit.doctor.driver_support import SUPPORT, native_source, zerocopy_source
from xdpkit.doctor.finding import (
    Check,
    Finding,
    Wanted,
    called,
    driver_of,
    guest_offloads_fixed,
    has_native,
    has_ntuple,
    has_zerocopy,
    is_unpaired,
    receiving,
    stop,
)
from xdpkit.doctor.probe import Facts
from xdpkit.doctor.probe_xdp import Program
from xdpkit.doctor.quirks import NEWER_KERNEL, QUIRKS
from xdpkit.nic.fact import known
from xdpkit.nic.os import hwtstamp

_MODES_SOURCE = "https://docs.kernel.org/networking/af_xdp.html"


def _programs(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """Anybody's but ours: an xdpkit that serves this interface has one there."""
    name, serving = called(facts), known(facts.xdp.serving)
    for program in facts.xdp.programs:
        if serving is not None and program.name == "steer":
            continue
        by = ", ".join(f"{owner.name} (process {owner.pid})" for owner in program.owners)
        yield Finding(
            "foreign-program",
            "blocks",
            f"XDP program '{known(program.name) or 'unnamed'}' (id {program.id}, {program.mode}) "
            f"is on {name}" + (f", held by {by}" if by else ""),
            "one program fits, and this one is not ours: 'xdpkit run' leaves it alone and ends",
            _detach(name, program),
        )


def _journal(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    if known(facts.xdp.journal) and facts.xdp.serving is None:
        name = called(facts)
        yield Finding(
            "journal",
            "note",
            f"a run that crashed has left changes on {name}",
            "the next run undoes them before it starts",
            f"xdpkit restore {name}",
        )


def _detach(name: str, program: Program) -> str:
    if program.owners and program.link:
        return stop(program.owners[0])
    word = {"native": "xdpdrv", "generic": "xdpgeneric"}.get(program.mode, "xdpoffload")
    return f"ip link set dev {name} {word} off"


def _native(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    if wanted.mode == "generic" or (native := has_native(facts)) is None:
        return
    driver, version = driver_of(facts), facts.kernel.version
    support = SUPPORT.get(facts.device.driver_name)
    source = native_source(facts.device.driver_name) or _MODES_SOURCE
    features = known(facts.xdp.features)
    # Quirks have the reason, and what mends it.
    has_reason = guest_offloads_fixed(facts) or is_unpaired(facts)
    if not native and not (has_reason and wanted.mode == "auto"):
        since = ""
        if support and version < support.native:
            since = f" before kernel {support.native[0]}.{support.native[1]}"
        yield Finding(
            "no-native",
            "costs" if wanted.mode == "auto" else "blocks",
            f"{driver} has no native XDP{since}",
            "in generic mode the kernel makes a packet of each frame first: expect a fraction of "
            "the rate"
            if wanted.mode == "auto"
            else f'mode = "{wanted.mode}" wants it',
            _instead(wanted, bool(since)),
            source,
        )
    elif native and features is not None and "redirect" not in features.acts:
        yield Finding(
            "no-redirect",
            "blocks",
            f"{driver} runs XDP programs, but cannot redirect",
            "requests would be lost on the way to the socket",
            'xdpkit.toml: [interface] mode = "generic"',
            source,
        )


def _instead(wanted: Wanted, newer: bool) -> str:
    if newer:
        return NEWER_KERNEL
    # In "auto" that is what a start gets: only another NIC has more.
    return "" if wanted.mode == "auto" else 'xdpkit.toml: [interface] mode = "generic"'


def _zerocopy(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    if wanted.mode not in ("auto", "zerocopy") or not has_native(facts):
        return
    if has_zerocopy(facts) is False:
        must = wanted.mode == "zerocopy"
        yield Finding(
            "no-zerocopy",
            "blocks" if must else "note",
            f"{driver_of(facts)} has no zero-copy",
            'mode = "zerocopy" wants it'
            if must
            else "the kernel copies each packet: 1 to 2 million a second and queue",
            'xdpkit.toml: [interface] mode = "copy"' if must else "",
            zerocopy_source(facts.device.driver_name) or _MODES_SOURCE,
        )


def _stamps(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    if "ntp" not in wanted.ports or wanted.mode == "generic":
        return
    name = called(facts)
    lack = _lack_of_stamps(facts)
    if wanted.rx_timestamps == "hardware" and lack:
        yield Finding(
            "no-hardware-stamps",
            "blocks",
            lack,
            'rx_timestamps = "hardware" wants them',
            'xdpkit.toml: [interface] rx_timestamps = "auto"',
        )
    setting = known(facts.device.stamps)
    ptp_only = setting is not None and setting.rx_filter not in (
        hwtstamp.FILTER_NONE,
        *hwtstamp.STAMPS_NTP,
    )
    if not lack and ptp_only and setting is not None:
        all_packets = replace(setting, rx_filter=hwtstamp.FILTER_ALL)
        yield Finding(
            "stamps-ptp-only",
            "costs",
            f"the hardware stamps PTP packets only, for another program "
            f"(rx_filter {setting.rx_filter})",
            "NTP's receive times are the XDP program's",
            all_packets.command(name),
        )


def _lack_of_stamps(facts: Facts) -> str:
    """Why XDP programs get no stamps of the hardware, or nothing."""
    features, info = known(facts.xdp.features), known(facts.device.timestamping)
    if features is None or "timestamp" not in (features.rx_metadata or ()):
        return f"{driver_of(facts)} gives XDP programs no stamps of its hardware"
    if info is None or info.phc_index < 0:
        return f"{called(facts)} has no hardware clock"
    return "" if facts.kernel.btf else "the kernel has no BTF (/sys/kernel/btf/vmlinux)"


def _offers_stamps(facts: Facts) -> bool:
    return not _lack_of_stamps(facts)


def _channels_in_use(facts: Facts) -> tuple[int, int]:
    now, most = known(facts.device.channels), known(facts.device.most_channels)
    if now is not None and most is not None:
        return now.receiving, most.receiving
    return 0, 0


# Whether what a quirk's ``feature`` names is used here; ``channels`` is handled with its number.
IN_PLAY: dict[str, Callable[[Facts, Wanted], bool]] = {
    "driver": lambda facts, wanted: True,
    "native": lambda facts, wanted: wanted.mode != "generic" and bool(has_native(facts)),
    "zerocopy": lambda facts, wanted: (
        wanted.mode in ("auto", "zerocopy") and bool(has_zerocopy(facts))
    ),
    "ntuple": lambda facts, wanted: has_ntuple(facts),
    "channels": lambda facts, wanted: True,
    "half": lambda facts, wanted: (
        wanted.mode != "generic" and 2 * _channels_in_use(facts)[0] > _channels_in_use(facts)[1] > 1
    ),
    "queues": lambda facts, wanted: receiving(facts) > 1,
    "guest": lambda facts, wanted: wanted.mode != "generic" and guest_offloads_fixed(facts),
    "unpaired": lambda facts, wanted: wanted.mode != "generic" and is_unpaired(facts),
    "lro": lambda facts, wanted: wanted.mode != "generic" and facts.device.has("rx-lro"),
    "busy": lambda facts, wanted: wanted.poll == "busy",
}


def _quirks(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    driver, version = facts.device.driver_name, facts.kernel.version
    in_use, most = _channels_in_use(facts)
    for quirk in QUIRKS:
        if quirk.driver != driver or not quirk.since <= version < quirk.before:
            continue
        if quirk.channels and in_use <= quirk.channels:
            continue
        if IN_PLAY[quirk.feature](facts, wanted):
            yield Finding(
                f"{driver}-{quirk.feature}",
                quirk.severity,
                quirk.what,
                quirk.consequence,
                quirk.command.format(ifname=called(facts), half=most // 2, most=most),
                quirk.source,
            )


CHECKS = (
    Check(_programs, "no other XDP program"),
    Check(_journal),
    Check(_native, "native XDP", (), has_native),
    Check(_zerocopy, "zero-copy", (), has_zerocopy),
    Check(_stamps, "hardware stamps", (), _offers_stamps),
    Check(_quirks),
)
