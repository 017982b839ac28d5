"""Random records of master files, right and almost right, in every way to write them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

HASH = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
SIGNATURE = ["8", "2", "300", "20300101000000", "1577836800", "7", "Z.example.", "AwEA", "AQ=="]

RIGHT: dict[str, list[str]] = {
    "A": ["192.0.2.1"],
    "AAAA": ["2001:db8::192.0.2.1"],
    "NS": ["ns.Other.test."],
    "CNAME": [r"a\.b\065.c"],
    "PTR": ["@"],
    "DNAME": ["."],
    "MX": ["10", "mail"],
    "SRV": ["0", "65535", "5060", "_sip._udp"],
    "SOA": [*["ns", "host", "4294967295", "2h", "1h30m", "2w", "60"]],
    "TXT": ['"a b;c"', "d", r'"\"\\\200"', '""', r"e\ f"],
    "SPF": ['"v=spf1 -all"'],
    "HINFO": ['"a b"', "c"],
    "CAA": ["128", "issue", '"ca.example.net; a=\\"b\\""'],
    "DS": ["1", "8", "2", "ab" * 10, "CD" * 22],
    "CDS": ["1", "8", "1", "ab" * 20],
    "DNSKEY": ["257", "3", "13", "AwEA", "AQ=="],
    "CDNSKEY": ["0", "3", "0", "AA=="],
    "RRSIG": ["A", *SIGNATURE],
    "NSEC": ["b.Z.example.", "A", "TYPE65280", "RRSIG", "caa", "nsec"],
    "NSEC3": ["1", "1", "10", "aBcd", HASH, "A", "RRSIG"],
    "NSEC3PARAM": ["1", "0", "0", "-"],
    "TLSA": ["3", "1", "1", "ab" * 16, "cd" * 16],
    "SSHFP": ["4", "2", "ab" * 32],
    "NAPTR": ["1", "2", '"s"', '"SIP+D2U"', r'"!^(.*)$!\\1!"', "_sip._udp"],
    "HTTPS": ["1", ".", 'alpn="h2,h3"', "port=8443", "ipv4hint=192.0.2.1,192.0.2.2"],
    "SVCB": ["2", "svc", "ipv6hint=2001:db8::1", "alpn=dot", "no-default-alpn"],
    "TYPE65280": [r"\#", "3", "ab", "cdef"],
    "TYPE1": ["192.0.2.9"],
}
"""By type, the data of a record that is plain."""

ODD: dict[str, list[str]] = {
    "LOC": ["52", "N", "4", "E", "0m"],
    "URI": ["10", "1", '"ftp://ftp.example/"'],
    "RP": ["a.b", "c"],
    "TYPE2": [r"\#", "3", "016100"],
    "HTTPS": ["1", ".", "mandatory=alpn", "alpn=h2", "key65000=a"],
    "DS": ["1", "RSASHA256", "2", "ab" * 32],
    "OPENPGPKEY": ["AwEA"],
}
"""The same of records that are dnspython's."""

OWNERS = ["", "", "@", "a", "B.c", "*", "*.w", r"a\.b", r"\065\@", "_25._tcp", "x.Z.example."]
WORDS = [
    *("0", "1", "256", "65536", "4294967296", "1h", "1x", "@", ".", "..", "a..b", "IN", "A", "CH"),
    *('""', '"a"', '"', "(", ")", ";", "\\", "\\#", "$TTL", "=", "a=", "-", "+1", "TYPE0", "ANY"),
    *("é", '"é"', "\x00", "\x7f", "x" * 64, "x" * 256, "x." * 127, "::", "1.2.3", "01.2.3.4"),
    *("alpn=", 'port="1"', "port=65536", "alpn=h2,,h3", "ipv4hint=1.2.3", "A\\065"),
]
CHARACTERS = '();\\@. \t\n\r"0aZ\x00\x7fé$#=,-+'
DIRECTIVES = [
    *("$TTL 77", "$ttl 1h ; note", "$TTL 2147483648", "$ORIGIN sub", "$ORIGIN Z.example."),
    *("$ORIGIN a\\.b.z.example.", "$INCLUDE part", "$INCLUDE part Sub.z.example.", "; note", ""),
    *("  ; note", "  ", " ( ; note\n )", "$GENERATE 1-3 g$ A 192.0.2.$", "$TTL (\n5 )"),
]


def changed(random: Random, word: str) -> str:
    """A word that is perhaps no longer right."""
    kind = random.randrange(4)
    at = random.randrange(len(word) + 1)
    if kind == 0:
        return random.choice(WORDS)
    if kind == 1:
        return word[:at] + random.choice(CHARACTERS) + word[at:]
    return word[:at] + word[at + 1 :] if kind == 2 else word[at:] + word[:at]


def blanks(random: Random, depth: int) -> str:
    """What separates words; inside of parentheses, lines and comments too."""
    choices = [" ", "\t", "  \t "]
    return random.choice(choices + ["\n", " ; ) note\n ", "\r\n\t", " () "] * (depth > 0))


def record(random: Random, wrong: float, kinds: dict[str, list[str]]) -> str:
    """A record with each word changed as often as ``wrong`` says."""
    kind = random.choice(sorted(kinds))
    words = [word if random.random() >= wrong else changed(random, word) for word in kinds[kind]]
    if random.random() < wrong:
        words.insert(random.randrange(len(words) + 1), random.choice(WORDS))
    head = random.sample([random.choice(["5", "1h", "0"]), random.choice(["IN", "in"])], 2)
    words = [*head[: random.randrange(3)], random.choice([kind, kind.lower()]), *words]
    text, depth = random.choice(OWNERS), 0
    for word in words:
        text += blanks(random, depth) if text or depth else " "
        if random.random() < 0.1:
            text, depth = text + "(", depth + 1
        text += word
    text += "".join(blanks(random, depth - n) + ")" for n in range(depth))
    return text + random.choice(["", "", " ", " ; note", ";note (", "\r"])


def file(random: Random, count: int, wrong: float) -> Iterator[str]:
    """The lines of a file: records, most of them plain, and directives."""
    for _ in range(count):
        choice = random.random()
        if choice < 0.15:
            yield random.choice(DIRECTIVES)
        else:
            yield record(random, wrong, ODD if choice < 0.2 else RIGHT)
