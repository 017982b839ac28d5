"""Zones with everything that a compiled zone can hold, for comparing what compilers make of them.

Each is made from fixed seeds: a text is the same whenever it is made.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from dns_fake_signer import fake_signed
from dnsdiff import odd_zones, zone_sets, zones

HEAD = "$TTL 300\n@ SOA ns1 hostmaster 2026112201 7200 3600 1209600 60\n@ NS ns1\n"
DIGEST = "ab" * 32

LABELS = (
    "a",
    "b",
    "B",
    "C",
    "*",
    "w",
    "sub",
    "x",
    "ent",
    "longer-label",
    "\\000",
    "\\001z",
    "\\255",
)

SIGNATURE = "13 2 300 20300101000000 20200101000000 1 z.test. AAAA"

# Empty non-terminals, some only above unsigned delegations: opt-out omits those.
ENTS = f"""x.y.ent A 192.0.2.1
deep.in.cut NS ns1
deep.in.mixed NS ns1
b.mixed TXT "b"
*.wild A 192.0.2.1
*.wild MX 1 a.wild
sub.in.wild NS ns1
deep.*.star NS ns1
ds.in.signed NS ns1
ds.in.signed DS 1 8 2 {DIGEST}
ns1 A 192.0.2.2
"""

FLAVORS = ("plain", "nsec", "nsec3", "optout")


def flavored(text: str, origin: str) -> Iterator[tuple[str, str]]:
    """The zone unsigned, with NSEC, and with NSEC3 without and with opt-out."""
    yield "plain", text
    for flavor in FLAVORS[1:]:
        yield flavor, fake_signed(text, origin, flavor != "nsec", opt_out=flavor == "optout")


def random_zone(seed: int) -> str:
    """A small zone of random names and types, some of them below others."""
    chance = random.Random(seed)

    def name(most: int = 4) -> str:
        return ".".join(chance.choice(LABELS) for _ in range(chance.randint(1, most)))

    def host() -> str:
        return chance.choice((name(), name(), "ns1", "ns.other.test.", "Ns1", "."))

    made = {
        "A": lambda: f"192.0.2.{chance.randint(1, 99)}",
        "AAAA": lambda: f"2001:db8::{chance.randint(1, 99):x}",
        "NS": host,
        "MX": lambda: f"{chance.randint(0, 9)} {host()}",
        "SRV": lambda: f"0 0 {chance.randint(1, 9)} {host()}",
        "SVCB": lambda: f"1 {host()}",
        "HTTPS": lambda: f"1 {host()} alpn=h2",
        "PTR": host,
        "TXT": lambda: f'"{"t" * chance.randint(0, 200)}"',
        "DS": lambda: f"{chance.randint(1, 9)} 8 2 {DIGEST}",
        "TYPE65280": lambda: "\\# 2 0102",
    }
    lines, owners = [], [name() for _ in range(chance.randint(1, 12))]
    for owner in owners:
        for rdtype in chance.sample(sorted(made), chance.randint(1, 3)):
            lines += [f"{owner} {rdtype} {made[rdtype]()}" for _ in range(chance.randint(1, 3))]
    for owner in {f"alias{chance.randint(0, 5)}": 0 for _ in range(3)}:
        lines.append(f"{owner} {chance.choice(('CNAME', 'DNAME'))} {host()}")
    # A DS is only at a cut, and nothing but its glue is below one that has servers.
    served = {line.split()[0] for line in lines if line.split()[1] == "NS"}
    kept = [line for line in lines if line.split()[1] != "DS" or line.split()[0] in served]
    return HEAD + "\n".join(dict.fromkeys(kept)) + "\n"


def _large() -> Iterator[tuple[str, str]]:
    """Answers around the limits: 14 bits of a pointer, 64 KiB of a message."""
    yield (
        "pointers",
        HEAD + "".join(f"*.w MX 60 {'q' * 57}{n:03}.h{n // 2:03}.far.test.\n" for n in range(600)),
    )
    yield (
        "own-pointers",
        HEAD
        + "".join(
            f"{owner} MX {n} {'q' * 57}{n:03}.h{n // 2:03}.{owner}\n"
            for owner in ("m", "*.m", "Upper.m")
            for n in range(600)
        ),
    )
    for count in (250, 252, 253, 300):
        texts = "".join(f'big TXT "{n:03}{"b" * 243}"\n' for n in range(count))
        yield f"texts-{count}", HEAD + texts
    for addresses in (10, 100, 2000, 4000):
        glue = "".join(
            f"h{n % 10}.far A 10.{n // 200}.{n % 200}.1\n"
            f"h{n % 10}.sub A 11.{n // 200}.{n % 200}.1\n"
            for n in range(addresses)
        )
        use = "".join(f"m MX {n} h{n}.far\n*.m MX {n} h{n}.far\n" for n in range(10))
        use += "".join(f"cut NS h{n}.far\ncut NS h{n}.cut\n" for n in range(10))
        use += "".join(f"sub NS h{n}.sub\n" for n in range(3))
        use += "".join(f"_s._tcp SRV 0 0 {n} h{n}.far\nv SVCB {n} h{n}.far\n" for n in range(10))
        yield f"trimmed-{addresses}", HEAD + glue + use
    for addresses in (134, 137):
        glue = "".join(
            f"cut NS h{n}.cut\nh{n}.cut A 10.{n}.1.{host % 250}\nh{n}.cut A 10.{n}.2.{host // 2}\n"
            for n in range(20)
            for host in range(addresses)
        )
        yield f"glue-{addresses}", HEAD + glue
    for size in (16380, 16384, 32760, 65200):
        rows = "".join(f"w{n} TYPE65280 \\# {size} {'00' * size}\n" for n in range(2))
        yield f"opaque-{size}", HEAD + rows
    # More than the writer keeps in memory: what refers back is changed in the file.
    big = f"TYPE65280 \\# 60000 {'ab' * 60000}"
    ends = "".join(f"*.w{n} A 192.0.2.3\nun.der{n} NS ns1\n" for n in range(5))
    front = "".join(f"w{n} A 192.0.2.2\nb{n} {big}\n" for n in range(40))
    yield (
        "flushed",
        HEAD + front + ends + "".join(f"c{n} {big}\n" for n in range(40)) + "x.y A 1.1.1.1\n",
    )
    types = "".join(f"many TYPE{40000 + n} \\# 1 {n % 256:02x}\n" for n in range(1000, 0, -1))
    yield "types", HEAD + types
    deep = ".".join("d" * 120)
    yield "deep", HEAD + f"{deep} A 192.0.2.1\n{deep} MX 1 x.{deep}\n*.{deep} MX 1 y.{deep}\n"
    names = "".join(f"n{n} A 10.0.{n // 250}.{n % 250}\n" for n in range(3000))
    cuts = "".join(f"d{n} NS ns.d{n}\nns.d{n} A 10.1.1.1\nd{n} NS ns1\n" for n in range(1000))
    yield "names", HEAD + names + cuts + "ns1 A 192.0.2.1\n"
    yield (
        "far-out",
        HEAD
        + "".join(
            f"d{n} NS ns{n % 3}.out.test.\n" + f"d{n} DS 1 8 2 {DIGEST}\n" * (n % 2)
            for n in range(200)
        ),
    )


def _wrong() -> Iterator[tuple[str, str]]:
    """Signed zones with something missing: what is compared is the error."""
    plain = HEAD + "ns1 A 192.0.2.1\na A 192.0.2.2\nx.ent TXT t\nsub NS ns1\n"
    for flavor, text in flavored(plain, "wrong"):
        lines = text.splitlines(keepends=True)
        if flavor == "plain":
            continue
        for number, line in enumerate(lines):
            if any(word in line for word in ("NSEC", "RRSIG", "DS ")):
                yield f"{flavor}-less-{number}", "".join(lines[:number] + lines[number + 1 :])
        yield f"{flavor}-iterations", text.replace("NSEC3PARAM 1 0 1", "NSEC3PARAM 1 0 51")
        yield f"{flavor}-extra", f"{text}extra A 192.0.2.1\nextra RRSIG A {SIGNATURE}\n"
        yield f"{flavor}-extra-cut", f"{text}extra NS ns1\n"
        yield f"{flavor}-extra-ent", f"{text}un.der.extra NS ns1\n"
        hashed = next((line.split()[0] for line in lines if " NSEC3 " in line), "extra")
        yield f"{flavor}-beside", f"{text}{hashed} TXT x\n{hashed} RRSIG TXT {SIGNATURE}\n"
        yield f"{flavor}-salt", text.replace("NSEC3PARAM 1 0 1 ab", "NSEC3PARAM 1 0 1 cd")


def _other_chains() -> Iterator[tuple[str, str]]:
    """NSEC3 records of other parameters and at other names, and two signatures of each RRset."""
    for flavor, text in flavored(HEAD + ENTS, "z.test"):
        yield f"ents-{flavor}", text
        lines = [line.replace("AAAA", "BBBB") for line in text.splitlines() if " RRSIG " in line]
        yield f"twice-{flavor}", "\n".join([text, *lines, ""])
        hashed = [line for line in text.splitlines() if " NSEC3 1 " in line]
        other = [line.replace(" 1 ab ", " 2 cd ") for line in hashed]
        other += [line.replace(" NSEC3 1 ", " NSEC3 2 ") for line in hashed[:1]]
        other += [f"q.{line}" for line in hashed[:1]]
        other += [f"q.{line.split()[0]} RRSIG NSEC3 {SIGNATURE}" for line in hashed[:1]]
        other += ["@ NSEC3PARAM 1 0 2 cd", "@ NSEC3PARAM 2 0 2 cd"] * bool(hashed)
        yield f"chains-{flavor}", "\n".join([text, *other, ""])


def _random() -> Iterator[tuple[str, str]]:
    for seed in range(60):
        try:
            made = dict(flavored(random_zone(seed), f"r{seed}.test"))
        except Exception as error:  # dnspython refuses some of these
            made = {"refused": f"; {type(error).__name__}\n"}
        for flavor, text in made.items():
            yield f"random-{seed}-{flavor}", text


def corpus() -> Iterator[tuple[str, str, str]]:
    """A name for each zone, its origin, and its master file."""
    for origin, text in (*zone_sets.USUAL.texts.items(), *zone_sets.BELOW_ROOT.texts.items()):
        yield f"served-{origin}", origin, text
    whole = zones.HEAD + zones.HOSTS + zones.WILDCARDS + zones.CUTS + zones.ALIASES
    whole += zones.TYPES + odd_zones.NAMES
    for flavor, text in flavored(whole, "whole.test"):
        yield f"whole-{flavor}", "whole.test", text
    for flavor, text in flavored(whole + odd_zones.BIG + odd_zones.TEXTS, "big.test"):
        yield f"big-{flavor}", "big.test", text
    for name, text in _large():
        yield f"large-{name}", "z.test", text
        if not name.startswith(("names", "types")):
            yield f"large-{name}-nsec", "z.test", fake_signed(text, "z.test")
            yield f"large-{name}-optout", "z.test", fake_signed(text, "z.test", True, opt_out=True)
    for name, text in _other_chains():
        yield f"chain-{name}", "z.test", text
    for name, text in _wrong():
        yield f"wrong-{name}", "wrong", text
    for name, text in _random():
        yield name, f"r{name.split('-')[1]}.test", text
