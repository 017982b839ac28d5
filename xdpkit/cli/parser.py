"""The command line's grammar and its help, which is also the manual.

Only argparse is imported, so that ``xdpkit --help`` is fast. ``blast`` and ``bench`` are in
``parser_measure.py``; ``dump`` in ``parser_dump.py``; ``plan``, ``doctor`` and ``restore`` in
``parser_nic.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NoReturn

from xdpkit import __version__
from xdpkit.cli import parser_dump, parser_measure, parser_nic
from xdpkit.errors import UsageError

DEFAULT_CONFIG = "/etc/xdpkit/xdpkit.toml"
# A documentation address (RFC 5737), which nobody has.
DEFAULT_CLIENT = "192.0.2.1"

_DESCRIPTION = """\
Answers NTP and DNS from the RX queues you choose, through AF_XDP. An XDP program
redirects well-formed requests for the configured addresses and ports on these queues;
all other packets, and all other queues, are left to the kernel."""

_EPILOG = f"""\
files:
  {DEFAULT_CONFIG}  configuration, unless -c names another
  @xdpkit/IFACE            control socket: abstract, in the network namespace of
                           the running instance
  /run/xdpkit/INDEX@NUMBER.journal  changes that an instance made to the NIC: the index
                           of the interface and the network namespace's number
  /run/xdpkit/INDEX@NUMBER.lock     held by the instance on that interface

exit status:
  0  done
  1  failed: a line on standard error says what, and how to fix it
  2  error in the command line, or at file:line:column of a configuration or zone file

"xdpkit VERB --help" is the manual of a verb."""


@dataclass(frozen=True)
class _Verb:
    """The help of one verb."""

    name: str
    summary: str
    description: str
    notes: str


_RUN = _Verb(
    "run",
    "serve, in the foreground",
    """\
Attach the XDP program, open an AF_XDP socket on every chosen queue and answer until
SIGTERM or Ctrl-C. What was obtained (native or generic mode, zero-copy or copy,
steering, source of timestamps) is printed at startup. SIGHUP reloads the zones; zones
that change are reloaded automatically (watch under [dns]). A zone that does not load is
served as it was, or answered with SERVFAIL; the others go on. Compiled zones are cached
for the next start (cache, /var/cache/xdpkit). The XDP program is detached when the
process ends, however it ends. Changes to the NIC's settings (xdpkit plan) are undone on
exit or, after a kill, by xdpkit restore or the next run.""",
    """\
needs:
  root, or CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK and
  CAP_NET_BIND_SERVICE; python3-bpfcc

exit status:
  0 stopped on request; 1 could not serve (no such queue, another XDP program on the
  interface, another instance, ...); 2 configuration, or a directory without zones

upgrade without a gap:
  --takeover starts beside the instance that serves the interface, takes over its sockets,
  rings and XDP link, and stops it; frames that arrive in between wait in the ring.
  Where the kernel does not allow it (6.1 does not), the other is stopped first, and the
  time without answers is logged. Counters start from zero.

example:
  sudo xdpkit run -c /etc/xdpkit/xdpkit.toml""",
)

_CHECK = _Verb(
    "check",
    "validate configuration and zones",
    """\
Read the configuration, keys and zones, and print what would be served. Neither the
interface nor a running instance is touched. Errors are reported as file:line:column,
with the key and the nearest valid name.""",
    """\
needs:
  no root; read access to the files

exit status:
  0 everything can be served; 2 something is invalid

example:
  xdpkit check -c xdpkit.toml && sudo xdpkit reload
  xdpkit check --import /etc/geodns/geodns.conf > xdpkit.toml""",
)

_STATUS = _Verb(
    "status",
    "show how a running instance is, and its counters",
    """\
Print whether a running instance is healthy, degraded or down, and why; what it serves
where; and its counters: packets received, answered, dropped by reason and lost, for each
queue and for the slow path, and every verdict with its meaning.

With --where: where each packet went, as sums that add up, every place that can lose, and
what mends it; rates are those since somebody last looked.""",
    """\
needs:
  no root; the network namespace of the instance (ip netns exec NAME xdpkit status)

with --json:
  health {state: healthy, degraded or down, reasons [{kind, down, text}]}
  interface, mode, zerocopy, steering, timestamps, pid, uptime_s, zones, version,
  configuration, served [{service, protocol, port, addresses}], reload {at, outcome, ...}
  queues {"2": {rx, tx, answered {verdict: n}, dropped {reason: n}, lost {place: n}}},
  slow_path {udp, tcp: {rx, tx, answered {verdict: n}, dropped {reason: n}, lost,
  lost_at [[place, address, n]]}},
  where {sums [{what, received, answered, dropped, passed, lost, in_transit, per_second}],
  lost [{place, at, packets, per_second}], seconds (since the last look)}
  xdp {"0": {verdict: n}} (counts of the XDP program by queue), verdicts {name: n}
  ntp {source, synchronised, leap, stratum, refid, sources [...], clients (an estimate),
  versions, modes, keys {id: authenticated replies}}; queues.N.ntp {tx_timestamps,
  tx_error_ns {p50: n, ...} (true transmit time minus the reply's), tx_error {ns: n}, ...}
  zones {name: {serial, names; and of one that is not up to date state: stale or failed,
  since, loaded_at, errors [...]}}
  dns {arena {bytes, names, load_s, source: compiled or cache, loaded_at, zones, cached,
  stale, failed, failing_s}, cookies {...}}

exit status:
  0 healthy; 3 degraded; 4 down; 1 no instance here, or no answer; 2 usage

example:
  xdpkit status --where
  xdpkit status eth1 --json | jq .queues""",
)

_RELOAD = _Verb(
    "reload",
    "reload configuration, zones and keys of a running instance",
    """\
Have a running instance read its configuration, zones and NTP key file again, as SIGHUP
does, and wait for the result. No requests are lost meanwhile. All of it is applied, or
nothing: every error is reported, and so is every key that needs a restart. A zone that
does not load stays as it was, and is reported; all others are taken. With ZONE, only that
zone is read, even if its files look unchanged.""",
    """\
needs:
  root, or the user that the instance runs as

exit status:
  0 the new data is in use; 1 no instance, no answer, "needs a restart: KEY", or no such
  zone; 2 a file is invalid (of a zone: the others are taken)

example:
  sudo xdpkit reload eth1
  sudo xdpkit reload example.com""",
)

_QUERY = _Verb(
    "query",
    "show what DNS would answer, and why, offline",
    """\
Compile the configured zones and answer one question with the server's own code, without
a socket or a running instance. Prints the answer and how it was found; in a JSON zone
also what is known of the client, the labels that were tried, the one that answered, and
the chance of each record.

With --compare: ask another server the questions of a file over UDP, for each client with
its address as client subnet, and print where its answers differ from ours beyond chance.
Each line of FILE is NAME TYPE CLIENT; the first argument is the file (default: stdin).""",
    """\
needs:
  no root; read access to the files

exit status:
  0 answered, whatever the answer; 2 question, configuration or zone file is invalid
  with --compare: 0 all the same; 1 something differs, or the server is silent

example:
  xdpkit query www.example.com AAAA --client 192.0.2.7 -c xdpkit.toml
  xdpkit query www.example.com A --ecs 203.0.113.0/24
  xdpkit query --compare 192.0.2.53 questions.txt""",
)

_DEMO = _Verb(
    "demo",
    "demonstrate serving in a lab of its own",
    """\
Create two network namespaces joined by a four-queue veth pair, serve NTP and DNS on one
queue, send real packets, and show the answers, the counters and the rates. No interface
of this machine is touched; the lab is removed at the end.

With --interface: serve on that interface until --requests NTP and DNS requests have come
from another machine (vagrant/ask.py sends them), and show what answered on which queue.""",
    """\
needs:
  root; python3-bpfcc

exit status:
  0 every answer was right (with --interface: the counts match); 1 otherwise

example:
  sudo xdpkit demo
  sudo xdpkit demo --interface eth1 --queue 2""",
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError, so that ``main`` prints its one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}: see {self.prog} --help")


def parser() -> Parser:
    """The whole command line; parsing yields ``verb`` and that verb's arguments."""
    root = Parser(
        prog="xdpkit",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"xdpkit {__version__}")
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = root.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)

    run = _config(_add(verbs, _RUN))
    text = 'allow steering = "rss" while an SSH session comes over the interface'
    run.add_argument("--yes", action="store_true", help=text)
    text = "take over from the instance that serves the interface, if there is one"
    run.add_argument("--takeover", action="store_true", help=text)
    text = "start once the interface exists and is up, however long that takes"
    run.add_argument("--wait", action="store_true", help=text)
    check = _json(_config(_add(verbs, _CHECK)))
    text = "print the TOML for a geodns.conf of GeoDNS instead; nothing else is read"
    check.add_argument("--import", dest="imported", metavar="FILE", help=text)
    _json(_config(_add(verbs, _Verb(*parser_nic.PLAN))))
    doctor = _json(_add(verbs, _Verb(*parser_nic.DOCTOR)))
    doctor.add_argument("interface", metavar="IFACE", nargs="?", help="interface to examine")
    text = "configuration to be served (default: none, only the interface is examined)"
    doctor.add_argument("-c", dest="config", metavar="FILE", help=text)
    _json(_interface(_add(verbs, _Verb(*parser_nic.RESTORE)), "interface (default: all)"))
    status = _json(_interface(_add(verbs, _STATUS)))
    text = "show where each packet went, and where packets are lost"
    status.add_argument("--where", action="store_true", help=text)
    text = "show --where with rates every so many seconds (default: 1)"
    status.add_argument("--watch", metavar="S", type=float, nargs="?", const=1.0, help=text)
    reload = _json(_interface(_add(verbs, _RELOAD)))
    text = "read only this zone, whatever its files look like (IFACE may be left out)"
    reload.add_argument("zone", metavar="ZONE", nargs="?", help=text)
    query = _json(_config(_add(verbs, _QUERY)))
    text = "domain name, absolute: www.example.com; with --compare: the file of questions"
    query.add_argument("name", metavar="NAME", nargs="?", help=text)
    query.add_argument("type", metavar="TYPE", nargs="?", help="record type: A, AAAA, MX, ...")
    text = "client address of the question (default: %(default)s)"
    query.add_argument("--client", metavar="ADDR", default=DEFAULT_CLIENT, help=text)
    text = "client subnet in the question, as in 203.0.113.0/24"
    query.add_argument("--ecs", metavar="PREFIX", help=text)
    text = "compare with the server at this address"
    query.add_argument("--compare", metavar="ADDR[:PORT]", help=text)
    text = "how often each question is asked, where records are drawn (default: 100)"
    query.add_argument("--times", metavar="N", type=int, help=text)
    text = "do not compare scopes: GeoDNS's is always 16"
    query.add_argument("--ignore-scope", action="store_true", help=text)
    parser_dump.add_dump(_json(_add(verbs, _Verb(*parser_dump.DUMP))))
    blast = _json(_add(verbs, _Verb(*parser_measure.BLAST)))
    parser_measure.add_blast(blast)
    bench = _json(_add(verbs, _Verb(*parser_measure.BENCH)))
    parser_measure.add_bench(bench)
    _demo(_json(_add(verbs, _DEMO)))
    return root


def _demo(verb: Parser) -> None:
    text = "serve here, and wait for requests from outside, instead of creating a lab"
    verb.add_argument("--interface", metavar="IFACE", help=text)
    text = "RX queue to serve, with --interface (default: %(default)s)"
    verb.add_argument("--queue", metavar="N", type=int, default=2, help=text)
    text = "XDP mode, with --interface (default: %(default)s)"
    verb.add_argument("--mode", choices=("auto", "copy", "generic"), default="auto", help=text)
    text = "number of requests to expect, with --interface (default: %(default)s)"
    verb.add_argument("--requests", metavar="N", type=int, default=4000, help=text)


def _add(verbs: argparse._SubParsersAction[Parser], verb: _Verb) -> Parser:
    added = verbs.add_parser(
        verb.name,
        help=verb.summary,
        description=verb.description,
        epilog=verb.notes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # SUPPRESS: a default here would override a --debug before the verb.
    added.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    return added


def _config(verb: Parser) -> Parser:
    text = f"configuration file (default: {DEFAULT_CONFIG})"
    verb.add_argument("-c", dest="config", metavar="FILE", default=DEFAULT_CONFIG, help=text)
    return verb


def _json(verb: Parser) -> Parser:
    text = "print JSON to standard output, progress to standard error"
    verb.add_argument("--json", action="store_true", help=text)
    return verb


def _interface(verb: Parser, text: str = "served interface (default: the only one)") -> Parser:
    verb.add_argument("interface", metavar="IFACE", nargs="?", help=text)
    return verb
