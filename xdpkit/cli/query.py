"""``xdpkit query``: the verb's arguments, and what is printed."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from xdpkit import config
from xdpkit.cli.check_addresses import host_addresses
from xdpkit.config import Config, DnsConfig
from xdpkit.config.address import Address, SocketAddress, parse_socket_address
from xdpkit.errors import ConfigError, UsageError, XdpkitError
from xdpkit.escape import escape
from xdpkit.nic.os import names
from xdpkit.regular_file import read_regular
from xdpkit.services import access_list
from xdpkit.services.dns.query import compare
from xdpkit.services.dns.query.peer import SILENT, Peer
from xdpkit.services.dns.query.query import explain
from xdpkit.services.dns.query.served import load_served

_PORT = 53

# Of the server; SNAPSHOT_RESERVED_MAX is above it.
_ADDRESSES = 1000

# Of a file of questions, and of one line of them on stdin.
_FILE_BYTES, _LINE_BYTES = 1 << 24, 4096

# Of stdin, with comments.
_LINES = 1 << 20


def facts(options: Namespace) -> tuple[dict[str, Any], list[str], int]:
    """What ``--json`` prints, what is printed otherwise, and the exit status."""
    if options.compare is not None:
        return _compare(options)
    missing = [what for what in ("name", "type") if getattr(options, what) is None]
    if missing:
        names = ", ".join(missing).upper()
        raise UsageError(f"arguments are required: {names}: see xdpkit query --help")
    if options.times is not None or options.ignore_scope:
        raise UsageError("--times and --ignore-scope are for --compare: leave them out")
    try:
        client = ip_address(options.client)
    except ValueError as error:
        raise UsageError(f"--client: {error}: write an IPv4 or IPv6 address") from error
    subnet = _subnet(options.ecs)
    loaded, dns = _dns(options)
    found = explain(
        dns.zones,
        options.name,
        options.type,
        options.client,
        dns.limit(client.version),
        dns.cache_directory(),
        access_list.access(access_list.rules(dns.allow, dns.deny)),
        subnet,
        dns.geo_files,
        dns.geo,
        dns.zone_limits,
        dns,
        _addresses(loaded),
    )
    return asdict(found), str(found).split("\n"), 0


def _dns(options: Namespace) -> tuple[Config, DnsConfig]:
    loaded = config.load(options.config)
    if loaded.dns is None:
        raise ConfigError(Path(options.config), "[dns] is missing: query needs its zones")
    return loaded, loaded.dns


def _addresses(loaded: Config) -> list[Address]:
    """Those that the server has; none where the interface is not here."""
    configured = [served.address for served in loaded.interface.addresses]
    try:
        name = names.name_of(names.index_of(loaded.interface.name))
        own = [each.address for each in host_addresses() if each.ifname == name]
    except (OSError, NetlinkError):
        own = []
    return list(dict.fromkeys(configured + own))[:_ADDRESSES]


def _subnet(text: str | None) -> IPv4Network | IPv6Network | None:
    if text is None:
        return None
    try:
        return ip_network(text)
    except ValueError as error:
        raise UsageError(f"--ecs: {error}: write a prefix, as in 192.0.2.0/24") from None


# -------------------------------------------------------------------------------------------------


def _compare(options: Namespace) -> tuple[dict[str, Any], list[str], int]:
    if options.type is not None or options.ecs is not None:
        raise UsageError("--compare takes one FILE of NAME TYPE CLIENT, and no --ecs")
    times = compare.TIMES if options.times is None else options.times
    if not 1 <= times <= compare.TIMES_MAX:
        raise UsageError(f"--times {times} is not within 1..{compare.TIMES_MAX}")
    address = _server(options.compare)
    questions = _questions(options.name)
    _, dns = _dns(options)
    served = load_served(dns.zones, dns.cache_directory(), dns.geo_files, dns.geo, dns.zone_limits)
    try:
        peer = Peer(address)
    except OSError as error:
        raise XdpkitError(f"{address}: there is no way to it: {error.strerror}") from None
    limit = dns.limit(address.address.version)
    different: list[compare.Compared] = []
    done = 0
    try:
        for each in compare.compare(
            served, peer, questions, times, limit, not options.ignore_scope
        ):
            done += 1
            if each.differences:
                different.append(each)
            if each.differences and not options.json:
                # A long list takes minutes.
                _say(each)
    finally:
        peer.close()
    document = {
        "server": str(address),
        "questions": len(questions),
        "compared": done,
        "different": len(different),
        "silent": peer.is_silent,
        "differences": [asdict(each) for each in different],
    }
    return document, list(_summary(document)), int(bool(different) or peer.is_silent)


def _say(found: compare.Compared) -> None:
    lines = (f"{found.question}: asked {found.asked} times", *found.differences)
    print(*map(escape, lines), sep="\n    ", flush=True)


def _summary(document: dict[str, Any]) -> Iterator[str]:
    if document["silent"]:
        left = document["questions"] - document["compared"]
        yield (
            f"{document['server']} did not answer its last {SILENT} questions: no more are asked; "
            f"{left} of {document['questions']} lines were not compared"
        )
    how = f"{document['different']} different" if document["different"] else "none different"
    yield f"{document['server']}: {document['compared']} questions compared, {how}"


def _server(text: str) -> SocketAddress:
    """ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT."""
    try:
        return SocketAddress(ip_address(text.removeprefix("[").removesuffix("]")), _PORT)
    except ValueError:
        pass
    try:
        return parse_socket_address(text)
    except ValueError as error:
        raise UsageError(f"--compare {text}: {error}") from None


def _questions(file: str | None) -> list[compare.Question]:
    """Those of a file, or of stdin."""
    if file is None or file == "-":
        name, given = "stdin", iter(lambda: sys.stdin.readline(_LINE_BYTES), "")
        lines: Iterable[str] = islice(given, _LINES)
    else:
        name = file
        try:
            text = read_regular(Path(file), _FILE_BYTES).data.decode(errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
        lines = text.split("\n")
    found = list(compare.parse_questions(lines, name))
    if not found:
        raise UsageError(f"{name}: no questions: write lines of NAME TYPE CLIENT")
    return found
