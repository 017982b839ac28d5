"""The command line of the verbs that measure, ``blast`` and ``bench``, and their manuals."""

from __future__ import annotations

import argparse
from pathlib import Path

from xdpkit.errors import UsageError

# (name, summary, description, notes), as in cli_parser.
BLAST = (
    "blast",
    "send NTP, DNS or echo requests, check and time every reply",
    """\
Send requests of one service from an AF_XDP socket and judge every reply: sender,
checksums, NTP origin timestamp, DNS id and question, echo payload. With --rate an open
loop; without it as fast as the server answers. It sends only through a veth or macvlan
whose other end is in another network namespace, to an address on that link: the
machine's own network is out of its reach unless --yes-send-to names the address.""",
    """\
counted:
  answered   right replies            wrong      replies that are not what was asked for
  lost       no reply in a second     duplicate  a second reply to the same request
  late       right replies to what was already counted as lost
  Every DNS query must have an answer: NXDOMAIN, no data and truncation are wrong.
  A lost reply may have been lost here: see "socket" with --json (rx_dropped,
  rx_ring_full, rx_fill_ring_empty_descs).

interleaved mode (RFC 9769), with ntp --interleaved:
  --clients of them each send the receive timestamp of their last reply back, and are
  told when that reply left. It must have left after its request came and before it
  arrived here, by the XDP program's clock, or the reply is wrong: server and generator
  must be on one machine. With --json, "interleaved" has
  interleaved basic share    right replies by mode
  underway_us                from the departure that was told to the arrival
  later same earlier         of basic replies whose departure the next one told: where it
                             lies to the transmit timestamp that they carried; with
                             [ntp] tx_timestamps = "kick" all are the same

many source addresses:
  --addresses counts up from the interface's own address, or from the first one of the
  prefix given with --from. A server on kernel sockets answers to those only if it has
  a route to them, such as: ip route add 198.18.0.0/16 via CLIENT

needs:
  root; python3-bpfcc; no XDP program on the interface

exit status:
  0 every reply was right; 1 some was wrong, or none came; 2 wrong command line

example:
  ip netns exec client xdpkit blast ntp --interface client0 --to 192.0.2.1 --rate 100000
  ip netns exec client xdpkit blast dns --interface client0 --to 192.0.2.1 \\
      --zone example.zone --seconds 5 --json""",
)

BENCH = (
    "bench",
    "servers side by side in the lab: rates, CPU, latency",
    """\
Measure xdpkit beside a bare echo on the same loop, and beside the servers that are
installed, in a lab of network namespaces: one queue each way, the server on one CPU, the
generator on another, every reply checked. The servers take turns within each round; told
are medians, with the least and the most, and ratios to the echo of the same round.""",
    """\
rows:
  echo, echo-dns          the bare loop: replies of NTP's and of the DNS rows' size
  echo-spin               the loop slowed by 5 us an answer, so that it can be overloaded
  xdpkit-ntp              xdpkit-dns-10: a zone of 10 names
  xdpkit-dns-rrl          the same with [dns.rrl], which none of 250 clients reaches
  xdpkit-dns-1m           1,000,000 names, asked for uniformly; -zipf: by popularity
  knotd-xdp knotd nsd chronyd   where they are on PATH or in .cache/peers/NAME of the
                          checkout (vagrant/provision.sh bench puts them there)

columns, and keys of rows[] with --json:
  answers_per_s           highest over several windows and open-loop rates
  lossfree_per_s          highest open-loop rate with less than 0.1 % lost
  overload_per_s          answers when offered twice answers_per_s, or as much of it as
                          the generator can send: overload_offered_per_s
  cpu_us_per_answer       of the whole server at a fixed rate (--load); cpu_user_us,
                          cpu_system_us; thread_cpu_us: the AF_XDP worker's alone;
                          cpu_us_saturated: in the overloaded run
  p50_us p99_us p99_9_us  latency at half of answers_per_s
  loss                    share lost in the run that gave answers_per_s
  ratio_to_echo           answers_per_s over the echo's of the same reply size
  Each is a median over the rounds, beside its _min and _max.

peers file:
  [rsntp]                              # a table for each, named as its row shall be
  service = "ntp"                      # or "dns": it serves the zone of 10 names
  command = ["rsntp", "-4", "{address}:{port}"]  # also {zone} {dir} {interface}
  port = 123                           # default: the service's
  ready = "started"                    # in its output; default: it replies to a request

other runs:
  --offwire  user-space time per answer without a wire, and instructions (valgrind)
  --spin     answers/s against [echo] spin_ns, poll mode, window and number of queues
  --ntp      with --json:
             interleaved     200,000 requests/s from interleaved clients: answers_per_s,
                             wrong, lost, share of interleaved replies, tx_true_share
                             (departures that the kernel told), underway_us
             offset          what an ordinary client sees of the idle server, us, by basic
                             and interleaved exchanges: the best of 20, and the median
             transmit_error  ns by which replies leave later than they say, by load,
                             compensation off or on, and control plane idle or collecting
                             garbage: p1 p10 p50 p90 p99 and the histogram
             rates           answers_per_s and ratio_to_plain of NTP with each ability
  --floods   DNS with [dns.rrl] and without, at --load queries/s of a flood in the name of
             others: names that do not exist, ANY and TXT for one victim, some /24s and one
             victim; beside it 50 clients at 40/s. With --json, each of floods[] has
             kept            share of the clients' queries that were answered, over UDP or,
                             where they were told so, over TCP; by group under clients
             amplification   bytes out per byte in, of the server's whole interface
             offered_per_s worker_cpu_share
  --reloads  DNS at --load requests/s while zones change; every reply is judged, and that
             all of its records are of one version; the compiler shares the server's CPU.
             With --json:
             reloads  100 (--rounds) of 10,000 names: reload_s, sent, answered, wrong, lost,
                      changes (of version, as the generator saw them), p99_9_us
             many     1,000,000 names: bytes, first_load_s, cached_load_s, resident_bytes,
                      reload {the same, at a fifth of the rate}

needs:
  root; python3-bpfcc; plots: pip install 'xdpkit[bench]'; 2 CPUs to mean anything

exit status:
  0 measured; 1 a server gave a wrong answer or did not come up; 2 wrong command line

example:
  vagrant/provision.sh bench -o results
  sudo xdpkit bench --only echo,xdpkit-ntp,chronyd --rounds 5 --json""",
)


def add_blast(verb: argparse.ArgumentParser) -> None:
    """The options of ``blast``."""
    verb.add_argument("service", choices=("ntp", "dns", "echo"), help="what to ask for")
    add = verb.add_argument
    add("--interface", metavar="IFACE", help="interface to send through")
    add("--to", metavar="ADDR[:PORT]", help="the server; a name will do, and [ADDR]:PORT")
    add("--yes-send-to", metavar="ADDR", help="send to ADDR through any interface")
    text = "the server's, or the router's (default: from the neighbour table)"
    add("--to-mac", metavar="MAC", help=text)
    version = verb.add_mutually_exclusive_group()
    version.add_argument("-4", dest="version", action="store_const", const=4, help="IPv4 only")
    version.add_argument("-6", dest="version", action="store_const", const=6, help="IPv6 only")
    pace = verb.add_mutually_exclusive_group()
    text = "requests a second, whatever comes back"
    pace.add_argument("--rate", metavar="N", type=int, help=text)
    text = "as fast as --window allows (the default)"
    pace.add_argument("--max", action="store_true", help=text)
    text = "open requests at most (default: 1024, none with --rate)"
    add("--window", metavar="N", type=int, help=text)
    text = "how long (default: %(default)s)"
    add("--seconds", metavar="S", type=float, default=10.0, help=text)
    add("--count", metavar="N", type=int, help="end after N requests")
    text = "source ports, 1 to 1000, from 61000 on (default: %(default)s)"
    add("--ports", metavar="N", type=int, default=1000, help=text)
    text = "source addresses (default: %(default)s)"
    add("--addresses", metavar="N", type=int, default=1, help=text)
    text = "take the source addresses from here"
    add("--from", dest="source", metavar="PREFIX", help=text)
    text = "queue to send from; replies must come back on it (default: %(default)s)"
    add("--queue", metavar="N", type=int, default=0, help=text)
    text = "VLAN tag, or two, outermost first"
    add("--vlan", metavar="TAG[.TAG]", type=vlan_tags, default=(), help=text)
    text = "echo: payload of a request (default: %(default)s)"
    add("--bytes", metavar="N", type=int, default=48, help=text)
    text = "ntp: clients of the interleaved mode, and their replies' departures checked"
    add("--interleaved", action="store_true", help=text)
    text = "ntp --interleaved: how many (default: --window, or 1024)"
    add("--clients", metavar="N", type=int, help=text)
    text = "dns: NAME TYPE on each line, as dnsperf has them"
    add("--queries", metavar="FILE", type=Path, help=text)
    text = "dns: random names of this zone, each with a type that it has"
    add("--zone", metavar="FILE", type=Path, help=text)


def add_bench(verb: argparse.ArgumentParser) -> None:
    """The options of ``bench``."""
    kind = verb.add_mutually_exclusive_group()
    text = "own rows without the million names, one short round"
    kind.add_argument("--quick", action="store_true", help=text)
    text = "user-space time and instructions per answer"
    kind.add_argument("--offwire", action="store_true", help=text)
    text = "answers/s against spin, poll mode, window, queues"
    kind.add_argument("--spin", action="store_true", help=text)
    text = "interleaved mode, offset, transmit error, cost of NTP's abilities"
    kind.add_argument("--ntp", action="store_true", help=text)
    text = "answers that DNS clients keep beside floods, with rate limits and without"
    kind.add_argument("--floods", action="store_true", help=text)
    text = "zones that change under load; a million names loaded, kept and reloaded"
    kind.add_argument("--reloads", action="store_true", help=text)
    add = verb.add_argument
    add("--rounds", metavar="N", type=int, help="rounds (default: 3)")
    add("--seconds", metavar="S", type=float, help="length of a probe (default: 1)")
    text = "requests a second at which CPU time is taken, or of a flood (default: %(default)s)"
    add("--load", metavar="N", type=int, default=100_000, help=text)
    add("--only", metavar="ROW,...", help="these rows, and the echoes they need")
    add("--peers", metavar="FILE", type=Path, help="more servers, a TOML file")
    text = "write JSON and plots (PNG, SVG) into this directory"
    add("-o", dest="directory", metavar="DIR", type=Path, help=text)


def vlan_tags(text: str) -> tuple[int, ...]:
    """TAG or TAG.TAG as numbers. Raises UsageError."""
    parts = text.split(".")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"--vlan {text!r}: write 100, or 100.200 with the outer tag first")
    tags = tuple(map(int, parts))
    if not all(1 <= tag <= 4094 for tag in tags):
        raise UsageError(f"--vlan {text}: a tag is 1 to 4094")
    return tags
