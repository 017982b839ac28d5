"""Checks of XDP: modes, other programs, timestamps, and the driver's quirks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from xdpkit.doctor.driver_support import SUPPORT, native_source, zerocopy_source
from xdpkit.doctor.finding import (
    Check,
    Finding,
    Wanted,
    driver_of,
    guest_offloads_fixed,
    has_native,
    has_ntuple,
    has_zerocopy,
    is_unpaired,
    rx_queues_in_use,
    shell_name,
    stop_command,
)
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.doctor.probe_xdp import Program
from xdpkit.doctor.quirks import NEWER_KERNEL, QUIRKS
from xdpkit.nic.fact import value_of
from xdpkit.nic.os import hwtstamp

_MODES_SOURCE = "https://docs.kernel.org/networking/af_xdp.html"


def _programs(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    """Reports programs that are not ours: an xdpkit serving this interface has its own there."""
    name, serving = shell_name(facts), value_of(facts.xdp.serving)
    for program in facts.xdp.programs:
        if serving is not None and program.name == "steer":
            continue
        by = ", ".join(f"{owner.name} (process {owner.pid})" for owner in program.owners)
        title = value_of(program.name) or "unnamed"
        yield Finding(
            "foreign-program",
            "blocks",
            f"XDP program '{title}' (id {program.id}, {program.mode}) "
            f"is on {name}" + (f", held by {by}" if by else ""),
            "only one program fits, and this one is not ours: 'xdpkit run' leaves it and exits",
            _detach(name, program),
        )


def _journal(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    if value_of(facts.xdp.journal) and facts.xdp.serving is None:
        name = shell_name(facts)
        yield Finding(
            "journal",
            "note",
            f"a crashed run left changes on {name}",
            "the next run undoes them before it starts",
            f"xdpkit restore {name}",
        )


def _detach(name: str, program: Program) -> str:
    if program.owners and program.link:
        return stop_command(program.owners[0])
    word = {"native": "xdpdrv", "generic": "xdpgeneric"}.get(program.mode, "xdpoffload")
    return f"ip link set dev {name} {word} off"


def _native(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    if wanted.mode == "generic" or (native := has_native(facts)) is None:
        return
    driver, version = driver_of(facts), facts.kernel.version
    support = SUPPORT.get(facts.device.driver_name)
    source = native_source(facts.device.driver_name) or _MODES_SOURCE
    features = value_of(facts.xdp.features)
    # A quirk gives the reason, and the fix.
    has_reason = guest_offloads_fixed(facts) or is_unpaired(facts)
    if not native and not (has_reason and wanted.mode == "auto"):
        since = ""
        if support and version < support.native:
            since = f" before kernel {support.native[0]}.{support.native[1]}"
        yield Finding(
            "no-native",
            "costs" if wanted.mode == "auto" else "blocks",
            f"{driver} has no native XDP{since}",
            "in generic mode the kernel builds an skb for each frame first: expect a fraction of "
            "the rate"
            if wanted.mode == "auto"
            else f'mode = "{wanted.mode}" requires it',
            _instead(wanted, bool(since)),
            source,
        )
    elif native and features is not None and "redirect" not in features.acts:
        yield Finding(
            "no-redirect",
            "blocks",
            f"{driver} runs XDP programs, but cannot redirect packets",
            "requests would be lost on the way to the socket",
            'xdpkit.toml: [interface] mode = "generic"',
            source,
        )


def _instead(wanted: Wanted, newer: bool) -> str:
    if newer:
        return NEWER_KERNEL
    # In "auto" a start gets generic mode anyway: only another NIC would help.
    return "" if wanted.mode == "auto" else 'xdpkit.toml: [interface] mode = "generic"'


def _zerocopy(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    if wanted.mode not in ("auto", "zerocopy") or not has_native(facts):
        return
    if has_zerocopy(facts) is False:
        must = wanted.mode == "zerocopy"
        yield Finding(
            "no-zerocopy",
            "blocks" if must else "note",
            f"{driver_of(facts)} does not support zero-copy",
            'mode = "zerocopy" requires it'
            if must
            else "the kernel copies each packet: 1 to 2 million per second per queue",
            'xdpkit.toml: [interface] mode = "copy"' if must else "",
            zerocopy_source(facts.device.driver_name) or _MODES_SOURCE,
        )


def _stamps(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    if "ntp" not in wanted.ports or wanted.mode == "generic":
        return
    name = shell_name(facts)
    lack = _lack_of_stamps(facts)
    if wanted.rx_timestamps == "hardware" and lack:
        yield Finding(
            "no-hardware-stamps",
            "blocks",
            lack,
            'rx_timestamps = "hardware" requires them',
            'xdpkit.toml: [interface] rx_timestamps = "auto"',
        )
    setting = value_of(facts.device.stamps)
    ptp_only = setting is not None and setting.rx_filter not in (
        hwtstamp.FILTER_NONE,
        *hwtstamp.STAMPS_NTP,
    )
    if not lack and ptp_only and setting is not None:
        all_packets = replace(setting, rx_filter=hwtstamp.FILTER_ALL)
        yield Finding(
            "stamps-ptp-only",
            "costs",
            f"the hardware timestamps PTP packets only, for another program "
            f"(rx_filter {setting.rx_filter})",
            "NTP receive times come from the XDP program",
            all_packets.command(name),
        )


def _lack_of_stamps(facts: ProbeFacts) -> str:
    """Why XDP programs get no hardware timestamps; empty if they do."""
    features, info = value_of(facts.xdp.features), value_of(facts.device.timestamping)
    if features is None or "timestamp" not in (features.rx_metadata or ()):
        return f"{driver_of(facts)} gives XDP programs no hardware timestamps"
    if info is None or info.phc_index < 0:
        return f"{shell_name(facts)} has no hardware clock"
    return "" if facts.kernel.btf else "the kernel has no BTF (/sys/kernel/btf/vmlinux)"


def _offers_stamps(facts: ProbeFacts) -> bool:
    return not _lack_of_stamps(facts)


def _channels_in_use(facts: ProbeFacts) -> tuple[int, int]:
    now, most = value_of(facts.device.channels), value_of(facts.device.most_channels)
    if now is not None and most is not None:
        return now.receiving, most.receiving
    return 0, 0


# Whether what a quirk's ``feature`` names is in use; ``_quirks`` checks the number of channels.
IN_PLAY: dict[str, Callable[[ProbeFacts, Wanted], bool]] = {
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
    "queues": lambda facts, wanted: rx_queues_in_use(facts) > 1,
    "guest": lambda facts, wanted: wanted.mode != "generic" and guest_offloads_fixed(facts),
    "unpaired": lambda facts, wanted: wanted.mode != "generic" and is_unpaired(facts),
    "lro": lambda facts, wanted: wanted.mode != "generic" and facts.device.has("rx-lro"),
    "busy": lambda facts, wanted: wanted.poll == "busy",
}


def _quirks(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
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
                quirk.command.format(ifname=shell_name(facts), half=most // 2, most=most),
                quirk.source,
            )


CHECKS = (
    Check(_programs, "no other XDP program"),
    Check(_journal),
    Check(_native, "native XDP", (), has_native),
    Check(_zerocopy, "zero-copy", (), has_zerocopy),
    Check(_stamps, "hardware timestamps", (), _offers_stamps),
    Check(_quirks),
)
