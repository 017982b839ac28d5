"""The command line's grammar and its help, which is also the manual.

Only argparse is imported: ``xdpkit --help`` shall be there at once. ``blast`` and ``bench`` are in
``cli_measure.py``, ``plan`` and ``restore`` in ``cli_nic.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NoReturn

from xdpkit import __version__
from xdpkit.cli import parser_measure as cli_measure
from xdpkit.cli import parser_nic as cli_nic
from xdpkit.errors import UsageError

DEFAULT_CONFIG = "/etc/xdpkit/xdpkit.toml"
# An address for documentation (RFC 5737), so nobody's.
DEFAULT_CLIENT = "192.0.2.1"

_DESCRIPTION = """\
Answers NTP and DNS from the RX queues you choose, through AF_XDP. An XDP program
takes well-formed requests for the configured addresses and ports off these queues;
every other packet, and every other queue, stays with the kernel."""

_EPILOG = f"""\
files:
  {DEFAULT_CONFIG}  configuration, unless -c names another
  @xdpkit/IFACE            control socket: abstract, in the network namespace of
                           the running instance
  /run/xdpkit/IFACE@NUMBER.journal  what an instance has changed on the NIC; NUMBER is
                           that of the network namespace

exit status:
  0  done
  1  failed: a line on standard error says what and how to mend it
  2  wrong command line, configuration or zone file: file:line:column is named

"xdpkit VERB --help" is the manual of a verb."""


@dataclass(frozen=True)
class _Verb:
    """What help says of one verb."""

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
steering, source of timestamps) is printed at the start. SIGHUP reads the zones again;
those that change are read by themselves (watch under [dns]). Compiled, they are kept
for the next start (cache, /var/cache/xdpkit). The XDP program goes with the process,
however it ends. Settings of the NIC that were changed for it (xdpkit plan) are put back
at the end; after a kill by xdpkit restore or by the next run.""",
    """\
needs:
  root, or CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK and
  CAP_NET_BIND_SERVICE; python3-bpfcc

exit status:
  0 stopped as asked; 1 could not serve (no such queue, another XDP program on the
  interface, another instance, ...); 2 configuration or zone file

upgrade without a gap:
  --takeover starts beside the instance that serves the interface, takes its sockets,
  rings and XDP link over, and lets it end; frames that come in between wait on the ring.
  Where the kernel does not allow it (6.1 does not) the other is stopped first, and how
  long nothing was answered is said. Counters begin anew.

example:
  sudo xdpkit run -c /etc/xdpkit/xdpkit.toml""",
)

_CHECK = _Verb(
    "check",
    "read configuration and zones, say what is wrong",
    """\
Read the configuration, keys and zones, and print what would be served. Neither the
interface nor a running instance is touched. What is wrong is named as
file:line:column, with the key and the nearest valid name.""",
    """\
needs:
  no root; read access to the files

exit status:
  0 all can be served; 2 something is wrong

example:
  xdpkit check -c xdpkit.toml && sudo xdpkit reload""",
)

_STATUS = _Verb(
    "status",
    "counters of a running instance, once",
    """\
Print mode, timestamps and counters of a running instance: packets received, answered
and dropped by reason, for each queue and for the kernel path, and every verdict with
its meaning.""",
    """\
needs:
  no root; the network namespace of the instance (ip netns exec NAME xdpkit status)

with --json:
  interface, mode, zerocopy, steering, timestamps, pid, uptime_s, zones,
  queues {"2": {rx, tx, answered {verdict: n}, dropped {reason: n}}},
  kernel {rx, tx, answered {verdict: n}, dropped {reason: n}},
  steer {"0": {verdict: n}} (counts of the XDP program), verdicts {name: n}
  ntp {source, synchronised, leap, stratum, refid, sources [...], clients (an estimate),
  versions, modes, keys {id: authenticated replies}}; queues.N.ntp {tx_timestamps,
  tx_error_ns {p50: n, ...} (true transmit time less the reply's), tx_error {ns: n}, ...}
  dns {arena {bytes, names, load_s, source: compiled or cache, loaded_at}, cookies {...}}

exit status:
  0 printed; 1 nothing is served here, or no answer

example:
  xdpkit status eth1 --json | jq .queues""",
)

_RELOAD = _Verb(
    "reload",
    "read zones, keys and lists of a running instance again",
    """\
Have a running instance read its zones, the NTP key file and, from the configuration, the
access lists and rate limit again, as SIGHUP does, and wait for the outcome. Nothing is
lost meanwhile; what is wrong is named, and what was read before it stays in use.""",
    """\
needs:
  root, or the user that the instance runs as

exit status:
  0 the new is in use; 1 no instance or no answer; 2 a file is wrong

example:
  sudo xdpkit reload eth1""",
)

_QUERY = _Verb(
    "query",
    "what DNS would answer, offline, and why",
    """\
Compile the configured zones and answer one question with the code that serves, without
a socket or a running instance. Prints the answer and how it was found.""",
    """\
needs:
  no root; read access to the files

exit status:
  0 answered, whatever the answer; 2 question, configuration or zone file is wrong

example:
  xdpkit query www.example.com AAAA --client 192.0.2.7 -c xdpkit.toml""",
)

_DEMO = _Verb(
    "demo",
    "the main job in a lab of its own, shown",
    """\
Make two network namespaces joined by a four-queue veth pair, serve NTP and DNS on one
queue, send real packets, and show the answers, the counters and the rates. No interface
of this machine is touched; the lab is removed at the end.

With --interface: serve on that interface until --requests NTP and DNS requests have come
from another machine (vagrant/ask.py sends them), and show who answered on which queue.""",
    """\
needs:
  root; python3-bpfcc

exit status:
  0 every answer was right (with --interface: the counts fit); 1 not so

example:
  sudo xdpkit demo
  sudo xdpkit demo --interface eth1 --queue 2""",
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose refusal is UsageError, so that ``cli.main`` prints its one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}: see {self.prog} --help")


def parser() -> Parser:
    """The whole command line; the result has ``verb`` and that verb's arguments."""
    root = Parser(
        prog="xdpkit",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"xdpkit {__version__}")
    root.add_argument("--debug", action="store_true", help="show the trace behind an error")
    verbs = root.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)

    run = _config(_add(verbs, _RUN))
    text = 'go on with steering = "rss" where an ssh session comes over the interface'
    run.add_argument("--yes", action="store_true", help=text)
    text = "go on where the instance that serves the interface leaves off, if there is one"
    run.add_argument("--takeover", action="store_true", help=text)
    text = "begin once the interface is there and up, however long that takes"
    run.add_argument("--wait", action="store_true", help=text)
    _json(_config(_add(verbs, _CHECK)))
    _json(_config(_add(verbs, _Verb(*cli_nic.PLAN))))
    doctor = _json(_add(verbs, _Verb(*cli_nic.DOCTOR)))
    doctor.add_argument("interface", metavar="IFACE", nargs="?", help="interface to look at")
    text = "configuration that shall be served (default: none, only the interface is looked at)"
    doctor.add_argument("-c", dest="config", metavar="FILE", help=text)
    _json(_interface(_add(verbs, _Verb(*cli_nic.RESTORE)), "interface (default: all)"))
    _json(_interface(_add(verbs, _STATUS)))
    _json(_interface(_add(verbs, _RELOAD)))
    query = _json(_config(_add(verbs, _QUERY)))
    query.add_argument("name", metavar="NAME", help="domain name, absolute: www.example.com")
    query.add_argument("type", metavar="TYPE", help="record type: A, AAAA, MX, ...")
    text = "address that the question comes from (default: %(default)s)"
    query.add_argument("--client", metavar="ADDR", default=DEFAULT_CLIENT, help=text)
    blast = _json(_add(verbs, _Verb(*cli_measure.BLAST)))
    cli_measure.add_blast(blast)
    bench = _json(_add(verbs, _Verb(*cli_measure.BENCH)))
    cli_measure.add_bench(bench)
    _demo(_json(_add(verbs, _DEMO)))
    return root


def _demo(verb: Parser) -> None:
    text = "serve here, and wait for requests from outside, instead of making a lab"
    verb.add_argument("--interface", metavar="IFACE", help=text)
    text = "RX queue to take, with --interface (default: %(default)s)"
    verb.add_argument("--queue", metavar="N", type=int, default=2, help=text)
    text = "XDP's mode, with --interface (default: %(default)s)"
    verb.add_argument("--mode", choices=("auto", "copy", "generic"), default="auto", help=text)
    text = "how many will be sent, with --interface (default: %(default)s)"
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
    # SUPPRESS: or the absence here would undo a --debug before the verb.
    added.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the trace behind an error",
    )
    return added


def _config(verb: Parser) -> Parser:
    text = f"configuration file (default: {DEFAULT_CONFIG})"
    verb.add_argument("-c", dest="config", metavar="FILE", default=DEFAULT_CONFIG, help=text)
    return verb


def _json(verb: Parser) -> Parser:
    text = "facts as JSON on standard output, progress on standard error"
    verb.add_argument("--json", action="store_true", help=text)
    return verb


def _interface(
    verb: Parser, text: str = "interface that is served (default: the only one)"
) -> Parser:
    verb.add_argument("interface", metavar="IFACE", nargs="?", help=text)
    return verb
