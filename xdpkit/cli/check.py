"""``xdpkit check``: what a configuration would serve, as facts and as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from xdpkit.cli.check_addresses import address_warnings
from xdpkit.config import Config, DnsConfig, NtpConfig
from xdpkit.config.rrl import RrlConfig
from xdpkit.config.toml_document import quoted
from xdpkit.errors import ConfigError, ConfigErrors
from xdpkit.instance import within_reach
from xdpkit.runtime.privileges import unprivileged
from xdpkit.services.ntp.keys import read_keys

_COOKIES = {
    "off": "off",
    "random": "a secret of this process only, replaced daily",
    "configured": "the secrets in the configuration, shared by all servers that have them",
}


# Zones that are listed; --json has all.
ZONES = 20

# Warnings that are listed; a zone has at most 101.
WARNINGS = 200


def facts(config: Config) -> dict[str, Any]:
    """Compiles the zones, reads the keys, and returns what would be served.

    What loads, but is probably a mistake, is among its ``warnings``. Raises ConfigError with
    everything that is wrong with zone files and the key file.
    """
    interface = config.interface
    within_reach.keep_files(config)
    services: dict[str, dict[str, Any]] = {}
    wrong: list[ConfigError] = []
    if config.ntp is not None:
        try:
            services["ntp"] = _ntp_facts(config.ntp)
        except ConfigError as error:
            wrong += error.errors or [error]
    if config.dns is not None:
        try:
            services["dns"] = _dns_facts(config.dns, interface.slow_path)
        except ConfigError as error:
            wrong += error.errors or [error]
    if wrong:
        raise wrong[0] if len(wrong) == 1 else ConfigErrors(wrong)
    if config.echo is not None:
        services["echo"] = {"port": config.echo.port, "spin_ns": config.echo.spin_ns}
    warnings = services["dns"].pop("warnings") if config.dns is not None else []
    return {
        "config": str(config.path),
        "interface": interface.name,
        "queues": list(interface.queues),
        "steering": interface.steering,
        "mode": interface.mode,
        "addresses": [str(address) for address in interface.addresses],
        "slow_path": interface.slow_path,
        "services": services,
        "metrics": str(config.metrics.listen) if config.metrics else None,
        "warnings": warnings + address_warnings(config),
    }


def _ntp_facts(ntp: NtpConfig) -> dict[str, Any]:
    return {
        "port": ntp.port,
        "source": [str(source) for source in ntp.source],
        "stratum": ntp.stratum,
        "refid": ntp.refid,
        "holdover": ntp.holdover,
        "interleaved": ntp.interleaved,
        "keys": len(unprivileged(partial(read_keys, ntp.keys)).keys) if ntp.keys else 0,
        "allow": [str(prefix) for prefix in ntp.allow],
        "deny": [str(prefix) for prefix in ntp.deny],
        "limit": ntp.limit.rule._asdict() if ntp.limit else None,
    }


def _dns_facts(dns: DnsConfig, slow_path: bool) -> dict[str, Any]:
    import anyio

    from xdpkit.services.dns.serving.geo_servings import health_warnings
    from xdpkit.services.dns.serving.load_progress import LoadProgress
    from xdpkit.services.dns.serving.store import compile_zones
    from xdpkit.services.dns.serving.zone_report import infos

    with LoadProgress(dns.zones) as progress:
        cache = dns.cache_directory()
        limits, geo = dns.zone_limits, dns.geo_files
        load = anyio.run(compile_zones, dns.zones, progress, None, limits, cache, geo)
        progress.finish(load.summary(), load.seconds)
    warnings = [
        {"path": each.path, "line": each.line or None, "warning": each.text}
        for each in load.warnings
    ]
    if dns.geo is not None and dns.geo.health is not None:
        directory = dns.geo.health
        # Before a file's name, and before what is said of the directory itself.
        starts = (f"{directory}/", f"{directory}: ")
        arenas = [state.arena for state in load.table if state.arena is not None]
        warnings += [
            {"path": str(directory), "line": None, "warning": _without(text, starts)}
            for text in unprivileged(partial(health_warnings, directory, arenas))
        ]
    return {
        "port": dns.port,
        "max_udp": {"ipv4": dns.limit(4), "ipv6": dns.limit(6)},
        "cookies": _cookies(dns),
        "nsid": dns.nsid.hex(),
        "chaos": {
            name: text.decode()
            for name in ("version", "hostname", "id")
            if (text := getattr(dns, name))
        },
        "tcp": {
            "connections": dns.tcp_connections if slow_path else 0,
            "idle_s": dns.tcp_idle,
            "queries": dns.tcp_queries,
        },
        "rrl": _rrl_facts(dns.rrl),
        "directory": str(dns.zones),
        "cache": str(cache) if cache else None,
        "watch": dns.watch,
        "bytes": load.size,
        "load_s": round(load.seconds, 3),
        "zones": infos(load.table),
        "warnings": warnings,
    }


def _without(text: str, starts: tuple[str, ...]) -> str:
    """The text behind the first of these that it begins with."""
    return next((text[len(each) :] for each in starts if text.startswith(each)), text)


def _rrl_facts(rrl: RrlConfig | None) -> dict[str, Any] | None:
    if rrl is None or not rrl.rule.rate:
        return None
    return rrl.rule._asdict() | {"exempt": [str(prefix) for prefix in rrl.exempt]}


def _cookies(dns: DnsConfig) -> str:
    """Where the cookie secrets come from, or "off"."""
    if not dns.cookies:
        return "off"
    return "configured" if dns.cookie_secret else "random"


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts as text."""
    queues = ", ".join(str(queue) for queue in facts["queues"])
    addresses = ", ".join(facts["addresses"]) or "every address of the interface"
    slow_path = "answered, too" if facts["slow_path"] else "not answered"
    written = [
        f"{facts['config']}: can be served",
        f"interface  {facts['interface']}, RX queues {queues}, mode {facts['mode']},"
        f" steering {facts['steering']}",
        f"addresses  {addresses}",
        f"slow path  requests that arrive through kernel sockets are {slow_path}",
    ]
    services = facts["services"]
    if ntp := services.get("ntp"):
        written.append(f"ntp        port {ntp['port']}, {_sources(ntp)}")
        written.append(f"           {_admission(ntp)}")
    if dns := services.get("dns"):
        zones = (
            f"{len(dns['zones'])} zones from {dns['directory']}, {dns['bytes']} bytes,"
            f" compiled in {dns['load_s']:.1f} s"
        )
        written.append(f"dns        port {dns['port']}, at most {_bytes(dns['max_udp'])}, {zones}")
        written.append(f"over TCP   {_tcp_line(dns['tcp'])}")
        written += zone_lines(dns["zones"])
        written.append(f"reloads    {_reloads(dns)}")
        written.append(f"cookies    {_COOKIES[dns['cookies']]}")
        written.append(f"rate limit {_rrl_line(dns['rrl'])}")
        if identity := _identity(dns):
            written.append(f"identity   {', '.join(identity)}")
    if echo := services.get("echo"):
        written.append(f"echo       port {echo['port']}, spin {echo['spin_ns']} ns")
    if facts["metrics"]:
        written.append(f"metrics    http://{facts['metrics']}/metrics")
    return written


def warning_lines(facts: Mapping[str, Any]) -> list[str]:
    """What is probably a mistake, a line each, and how many there are."""
    found = facts["warnings"]
    if not found:
        return []
    listed = [
        f"{each['path']}:{each['line']}: warning: {each['warning']}"
        if each["line"]
        else f"{each['path']}: warning: {each['warning']}"
        for each in found[:WARNINGS]
    ]
    more = f", {WARNINGS} of them listed: --json has all" if len(found) > WARNINGS else ""
    what = "1 warning" if len(found) == 1 else f"{len(found)} warnings"
    return [*listed, f"{what}{more}; it can be served as it is"]


def _sources(ntp: Mapping[str, Any]) -> str:
    """Where the time comes from, with the settings that apply to those sources."""
    sources = ntp["source"]
    words = [f"source {', else '.join(sources)}"]
    if {"local", "kernel"} & set(sources):
        words.append(f"stratum {ntp['stratum']}, reference ID {ntp['refid']}")
    if sources[0] != "local":
        words.append(f"holdover {ntp['holdover']} s")
    return ", ".join(words)


def _admission(ntp: Mapping[str, Any]) -> str:
    """Access list and rate limit."""
    lists = f"{len(ntp['allow'])} prefixes allowed, {len(ntp['deny'])} denied"
    limit = ntp["limit"]
    rate = (
        f"one request per {2.0 ** limit['interval']:g} s, bursts of {limit['burst']}"
        if limit
        else "no rate limit"
    )
    return f"{ntp['keys']} keys, {lists}, {rate}"


def _rrl_line(rrl: Mapping[str, Any] | None) -> str:
    """How many answers a source gets over UDP, and what happens to the others."""
    if rrl is None:
        return "none: answers to spoofed sources are not limited ([dns.rrl])"
    each = f"{rrl['rate']} answers per second per address, {rrl['instant']} at once"
    every = {0: "none", 1: "all", 2: "every 2nd", 3: "every 3rd"}
    slip = every.get(rrl["slip"], f"every {rrl['slip']}th")
    return f"{each}; above that, {slip} truncated; {len(rrl['exempt'])} prefixes exempt"


def _tcp_line(tcp: Mapping[str, int]) -> str:
    if not tcp["connections"]:
        return "no service"
    queries = f", {tcp['queries']} queries each" if tcp["queries"] else ""
    return f"at most {tcp['connections']} connections, {tcp['idle_s']} s idle{queries}"


def _reloads(dns: Mapping[str, Any]) -> str:
    """When zones are reloaded, and where they come from at the next start."""
    when = "when a file changes" if dns["watch"] else "on request"
    start = f"compiled zones cached in {dns['cache']}" if dns["cache"] else "compiled at each start"
    return f"{when}; {start}"


def _bytes(most: Mapping[str, int]) -> str:
    if most["ipv4"] == most["ipv6"]:
        return f"{most['ipv4']} bytes"
    return f"{most['ipv4']} bytes over IPv4, {most['ipv6']} over IPv6"


def _identity(dns: Mapping[str, Any]) -> list[str]:
    """What the server reveals about itself in replies."""
    nsid = [f"NSID {dns['nsid']}"] if dns["nsid"] else []
    return nsid + [f"{name} {quoted(text)}" for name, text in dns["chaos"].items()]


def zone_lines(zones: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """An indented line for each zone that is answered, as long as they are few."""
    listed = [
        f"  {name}  serial {zone['serial']}, {zone['names']} names"
        for name, zone in zones.items()
        if zone["serial"] is not None
    ]
    more = len(listed) - ZONES
    return listed if more <= 0 else [*listed[:ZONES], f"  and {more} more"]
