"""The command line and help of the verbs that measure: ``blast`` and ``bench``."""

from __future__ import annotations

import argparse
from pathlib import Path

from xdpkit.errors import UsageError

# (name, summary, description, notes), as in parser._Verb.
BLAST = (
    "blast",
    "send NTP, DNS or echo requests, check and time every reply",
    """\
Send requests for one service from an AF_XDP socket and verify every reply: sender,
checksums, NTP origin timestamp, DNS ID and question, echo payload. With --rate, an open
loop; without it, as fast as the server answers. It sends only through a veth or macvlan
whose other end is in another network namespace, to an address on that link: it cannot
reach the machine's own network unless --yes-send-to names the address.""",
    """\
counted:
  answered   correct replies            wrong      replies that do not match the request
  lost       no reply within a second   duplicate  a second reply to the same request
  late       correct replies to requests already counted as lost
  Every DNS query must get an answer: NXDOMAIN, no data and truncation are wrong.
  A reply may have been lost on this side: see "socket" with --json (rx_dropped,
  rx_ring_full, rx_fill_ring_empty_descs).

interleaved mode (RFC 9769), with ntp --interleaved:
  each of --clients clients sends the receive timestamp of its last reply back, and learns
  when that reply was transmitted. That must be after its request arrived and before it
  arrived here, by the XDP program's clock, or the reply is wrong: server and generator
  must be on one machine. With --json, "interleaved" has
  interleaved basic share    correct replies by mode
  underway_us                from the reported transmit time to the arrival
  later same earlier         basic replies whose true transmit time, reported by the next
                             reply, was later, the same or earlier than the transmit
                             timestamp that they carried; with [ntp] tx_timestamps =
                             "kick" all are the same

many source addresses:
  --addresses counts up from the interface's own address, or from the first one of the
  prefix given with --from. A server on kernel sockets answers those only if it has a
  route to them, such as: ip route add 198.18.0.0/16 via CLIENT

needs:
  root; python3-bpfcc; no XDP program on the interface

exit status:
  0 every reply was correct; 1 some were wrong, or none came; 2 invalid command line

example:
  ip netns exec client xdpkit blast ntp --interface client0 --to 192.0.2.1 --rate 100000
  ip netns exec client xdpkit blast dns --interface client0 --to 192.0.2.1 \\
      --zone example.zone --seconds 5 --json""",
)

BENCH = (
    "bench",
    "compare servers in the lab: rates, CPU, latency",
    """\
Compare xdpkit with a bare echo on the same loop, and with other installed servers, in a
lab of network namespaces: one queue each way, the server on one CPU, the load generator
on another, every reply checked. The servers take turns within each round; the results
are medians with minimum and maximum, and ratios to the echo of the same round.""",
    """\
rows:
  echo, echo-dns          the bare loop: replies of the size of NTP's and the DNS rows'
  echo-spin               the loop slowed by 5 us per answer, so that it can be overloaded
  xdpkit-ntp              xdpkit-dns-10: a zone of 10 names
  xdpkit-dns-rrl          the same with [dns.rrl], which none of 250 clients reaches
  xdpkit-dns-1m           1,000,000 names, queried uniformly; -zipf: by popularity
  knotd-xdp knotd nsd chronyd   if they are on PATH or in .cache/peers/NAME of the
                          checkout (vagrant/provision.sh bench puts them there)

columns, and keys of rows[] with --json:
  answers_per_s           highest over several windows and open-loop rates
  lossfree_per_s          highest open-loop rate with less than 0.1 % lost
  overload_per_s          answers when offered twice answers_per_s, or as much of that
                          as the generator can send: overload_offered_per_s
  cpu_us_per_answer       of the whole server at a fixed rate (--load); cpu_user_us,
                          cpu_system_us; thread_cpu_us: the AF_XDP worker only;
                          cpu_us_saturated: in the overloaded run
  p50_us p99_us p99_9_us  latency at half of answers_per_s
  loss                    share lost in the run that gave answers_per_s
  ratio_to_echo           answers_per_s over that of the echo with the same reply size
  Each is a median over the rounds, with its _min and _max.

peers file:
  [rsntp]                              # one table per server, named like its row
  service = "ntp"                      # or "dns": serves the zone of 10 names
  command = ["rsntp", "-4", "{address}:{port}"]  # also {zone} {dir} {interface}
  port = 123                           # default: the service's
  ready = "started"                    # in its output; default: replies to a request

other runs:
  --offwire  user-space time per answer without a wire, and instructions (valgrind)
  --spin     answers/s against [echo] spin_ns, poll mode, window and number of queues
  --ntp      with --json:
             interleaved     200,000 requests/s from interleaved clients: answers_per_s,
                             wrong, lost, share of interleaved replies, tx_true_share
                             (transmit times reported by the kernel), underway_us
             offset          offset that an ordinary client measures to the idle server, in
                             us, in basic and interleaved mode: best of 20, and median
             transmit_error  ns by which replies leave later than they say, by load,
                             compensation off or on, and control plane idle or under GC
                             stress: p1 p10 p50 p90 p99 and the histogram
             rates           answers_per_s and ratio_to_plain of NTP with each feature
  --floods   DNS with [dns.rrl] and without, at --load queries/s of a flood with spoofed
             sources: names that do not exist, ANY and TXT for one victim, some /24s and one
             victim; alongside 50 clients at 40/s. With --json, each of floods[] has
             kept            share of the clients' queries that were answered, over UDP or,
                             if truncated, over TCP; by group under clients
             amplification   bytes out per byte in, on the server's whole interface
             offered_per_s worker_cpu_share
  --reloads  DNS at --load requests/s while zones change; every reply is checked, including
             that all its records are of one version; the compiler shares the server's CPU.
             With --json:
             reloads  100 (--rounds) of 10,000 names: reload_s, sent, answered, wrong, lost,
                      changes (of version, as the generator saw them), p99_9_us
             many     1,000,000 names: bytes, first_load_s, cached_load_s, resident_bytes,
                      reload {the same, at a fifth of the rate}
             pool     100 (--rounds) versions of an NTP pool's JSON zone of 5,000 servers, one
                      every 2 s, a change of health between two: the same as reloads, and
                      dropped (of the lost: at the server's ring), sampled, mixed (addresses of
                      two versions), health_s, stale (a server that has been unhealthy for
                      longer), resident_before, resident_after
             burst    lost of 150,000 queries in 2 s, while the pool's zone is compiled on the
                      same CPU; idle: while nothing is
  --zones    many zones of 4 records (--zone-count), in xdpkit, knotd, nsd and named on the
             same files; s, and bytes. With --json, medians with _min and _max:
             zone_starts   first_s: from the process's start until the last zone answers;
                           again_s: from the cache; one_...: with one zone;
                           beyond_one_...: the difference; resident_bytes (PSS of all
                           processes)
             large_zones   first_s, cpu_s (of all its processes), resident_bytes for a signed
                           zone of 20,000 names and a million names, signed and not
             zone_edits    new_answer_s: of one zone, without quiet_s in which its file must
                           not change; of the others, from the command to reload it
             rates         answers_per_s, ns_per_answer and instructions_per_answer off the
                           wire, for one zone and for all; many_over_one; over_earlier: over
                           those of --against
             alias         per_file_byte: arena of 400 aliases to 58 KB in ten RRsets
             compiling     lost of 150,000 queries in 2 s on a CPU that also compiles
                           100,000 names
             random_edits  100 edits of random zones at --load queries/s: lost,
                           resident_before, resident_after
             idle, in both: the same load while nothing is compiled
  --capture  with --json:
             offwire         ns and instructions per answer without a wire: off, with latency
                             histograms, and with captures besides
             rates           answers/s with everything off and on (histograms, a scrape a
                             second, one in 1,000 captured), in turn: on_over_off
             full            all of --load requests/s captured, and with a stopped reader:
                             seen, lost (to the capture), answers_lost
             stamps          a capture's stamps against a client's: within_100_us
  --geo      an NTP pool's JSON zone: 5,000 servers, drawn by weight, by the country of a
             client subnet; beside a plain zone with answers of the same size, and beside
             knotd's module geoip, which has a fixed list for each country. With --json:
             targets   what was to be reached: value, target, ratio, met
             offwire   ns and ns_median in batches of 64; over_plain; instructions (valgrind)
             rates     answers_per_s, cpu_us_per_answer at --load queries/s, over_plain,
                       ours_over_... of other servers; medians with _min and _max
             database  4,194,304 invented networks, made once: first_seconds, cached_seconds,
                       ..._peak_bytes of the process that reads them
             box       resident_bytes (PSS of all processes) with that zone, a database of
                       262,144 networks and NTP; reload_bytes: at most while the zone is
                       compiled again

needs:
  root; python3-bpfcc; plots: pip install 'xdpkit[bench]'; at least 2 CPUs

exit status:
  0 measured; 1 a server gave a wrong answer or did not start; 2 invalid command line

example:
  vagrant/provision.sh bench -o results
  sudo xdpkit bench --only echo,xdpkit-ntp,chronyd --rounds 5 --json""",
)


def add_blast(verb: argparse.ArgumentParser) -> None:
    """The options of ``blast``."""
    verb.add_argument("service", choices=("ntp", "dns", "echo"), help="service to request")
    add = verb.add_argument
    add("--interface", metavar="IFACE", help="interface to send through")
    add("--to", metavar="ADDR[:PORT]", help="the server; also a host name, or [ADDR]:PORT")
    add("--yes-send-to", metavar="ADDR", help="send to ADDR through any interface")
    text = "the server's or the router's (default: from the neighbor table)"
    add("--to-mac", metavar="MAC", help=text)
    version = verb.add_mutually_exclusive_group()
    version.add_argument("-4", dest="version", action="store_const", const=4, help="IPv4 only")
    version.add_argument("-6", dest="version", action="store_const", const=6, help="IPv6 only")
    pace = verb.add_mutually_exclusive_group()
    text = "requests per second, whatever comes back"
    pace.add_argument("--rate", metavar="N", type=int, help=text)
    text = "as fast as --window allows (the default)"
    pace.add_argument("--max", action="store_true", help=text)
    text = "limit on outstanding requests (default: 1024, none with --rate)"
    add("--window", metavar="N", type=int, help=text)
    text = "duration (default: %(default)s)"
    add("--seconds", metavar="S", type=float, default=10.0, help=text)
    add("--count", metavar="N", type=int, help="stop after N requests")
    text = "number of source ports, 1 to 1000, from 61000 (default: %(default)s)"
    add("--ports", metavar="N", type=int, default=1000, help=text)
    text = "number of source addresses (default: %(default)s)"
    add("--addresses", metavar="N", type=int, default=1, help=text)
    text = "take the source addresses from this prefix"
    add("--from", dest="source", metavar="PREFIX", help=text)
    text = "queue to send from; replies must come back on it (default: %(default)s)"
    add("--queue", metavar="N", type=int, default=0, help=text)
    text = "VLAN tag, or two with the outer one first"
    add("--vlan", metavar="TAG[.TAG]", type=vlan_tags, default=(), help=text)
    text = "echo: payload size of a request (default: %(default)s)"
    add("--bytes", metavar="N", type=int, default=48, help=text)
    text = "ntp: clients in interleaved mode, whose replies' transmit times are checked"
    add("--interleaved", action="store_true", help=text)
    text = "ntp --interleaved: number of clients (default: --window, or 1024)"
    add("--clients", metavar="N", type=int, help=text)
    text = "dns: file with NAME TYPE on each line, as for dnsperf"
    add("--queries", metavar="FILE", type=Path, help=text)
    text = "dns: random names of this zone, each with a type that it has"
    add("--zone", metavar="FILE", type=Path, help=text)


def add_bench(verb: argparse.ArgumentParser) -> None:
    """The options of ``bench``."""
    kind = verb.add_mutually_exclusive_group()
    text = "xdpkit's rows without the million names, one short round"
    kind.add_argument("--quick", action="store_true", help=text)
    text = "user-space time and instructions per answer"
    kind.add_argument("--offwire", action="store_true", help=text)
    text = "answers/s against spin, poll mode, window, queues"
    kind.add_argument("--spin", action="store_true", help=text)
    text = "interleaved mode, offset, transmit error, cost of NTP features"
    kind.add_argument("--ntp", action="store_true", help=text)
    text = "answers that DNS clients still get during floods, with and without RRL"
    kind.add_argument("--floods", action="store_true", help=text)
    text = "zones that change under load, an NTP pool's among them; a million names loaded"
    kind.add_argument("--reloads", action="store_true", help=text)
    text = "many zones: starts, memory, edits, answers, losses; other servers likewise"
    kind.add_argument("--zones", action="store_true", help=text)
    text = "answers by location and weight: rates, databases, memory"
    kind.add_argument("--geo", action="store_true", help=text)
    text = "cost of captures and latency histograms, and what a capture loses"
    kind.add_argument("--capture", action="store_true", help=text)
    add = verb.add_argument
    add("--rounds", metavar="N", type=int, help="rounds (default: 3)")
    add("--seconds", metavar="S", type=float, help="length of a probe (default: 1)")
    text = "requests per second for CPU time, or of a flood (default: %(default)s)"
    add("--load", metavar="N", type=int, default=100_000, help=text)
    text = "--zones: how many (default: %(default)s)"
    add("--zone-count", metavar="N", type=int, default=10_000, help=text)
    text = "--zones: compare rates with the bench.json of an earlier run"
    add("--against", metavar="FILE", type=Path, help=text)
    add("--only", metavar="ROW,...", help="only these rows, and the echoes they need")
    add("--peers", metavar="FILE", type=Path, help="more servers, a TOML file")
    text = "write JSON and plots (PNG, SVG) into this directory"
    add("-o", dest="directory", metavar="DIR", type=Path, help=text)
    # argparse does not break a line within a group.
    verb.usage = (
        verb.format_usage()
        .removeprefix("usage: ")
        .replace("--zones | ", "--zones |\n                     ")
    )


def vlan_tags(text: str) -> tuple[int, ...]:
    """Parses TAG or TAG.TAG. Raises UsageError."""
    parts = text.split(".")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"--vlan {text!r}: write 100, or 100.200 with the outer tag first")
    tags = tuple(map(int, parts))
    if not all(1 <= tag <= 4094 for tag in tags):
        raise UsageError(f"--vlan {text}: a tag is 1 to 4094")
    return tags
