"""The command line of ``dump``, and its manual."""

from __future__ import annotations

from argparse import ArgumentParser

DUMP = (
    "dump",
    "capture the packets that a running instance answers or drops",
    """\
Print a line for each request that a running instance answers or drops, on the ring and
on the slow path: what tcpdump cannot see. With -w: write request and reply as pcapng,
for Wireshark and tshark, with nanosecond stamps (when the request was received, when the
reply was given to the kernel), the direction, the queue as interface, and a comment that
says what became of the packet, and why it was dropped. Packets of the slow path have no
headers here: IP, UDP and TCP headers are made from the addresses.

The filter runs in the answering threads, before anything is copied. If this program is
too slow, the capture loses packets and counts them; the instance never waits. Ends with
Ctrl-C, after -n requests, or with the instance.""",
    """\
FILTER is made of tests, "and", "or", "not" and parentheses:
  service ntp|dns|echo    client 192.0.2.0/24    type AAAA    rcode NXDOMAIN
  name www.example.com    name *.example.com (all below it)   queue 2, udp, tcp
  verdict NAME (as status names them)            answered

needs:
  root, or the user that the instance runs as

exit status:
  0 captured; 1 no instance, or the file cannot be written; 2 filter or usage

example:
  sudo xdpkit dump -w - | tshark -r -
  sudo xdpkit dump 'service dns and client 192.0.2.0/24 and not rcode NOERROR'
  sudo xdpkit dump -w q.pcapng --rotate 100M --sample 1000""",
)


def add_dump(verb: ArgumentParser) -> None:
    """Adds the arguments of the verb."""
    text = "what to capture (default: everything); in quotes, or as several words"
    verb.add_argument("filter", metavar="FILTER", nargs="*", default=[], help=text)
    text = "served interface (default: the only one)"
    verb.add_argument("-i", dest="interface", metavar="IFACE", help=text)
    text = "write pcapng to a file, or to standard output (-)"
    verb.add_argument("-w", dest="file", metavar="FILE", help=text)
    text = "begin another file (FILE.1, FILE.2, ...) when one has SIZE bytes; 100M, 1G"
    verb.add_argument("--rotate", metavar="SIZE", help=text)
    text = "end after N requests"
    verb.add_argument("-n", dest="count", metavar="N", type=int, help=text)
    text = "capture one in N of what matches, in each thread (default: %(default)s)"
    verb.add_argument("--sample", metavar="N", type=int, default=1, help=text)
    text = "MiB for what waits to be read, for each answering thread (default: %(default)s)"
    verb.add_argument("--buffer", metavar="MIB", type=int, default=4, help=text)
