"""Sets of zones that are served together."""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.name

from dnsdiff import odd_zones, zones

# A root zone, and below it zones that are delegated, served, or both.
ROOT = """\
$TTL 300
. SOA a.root.test. nstld.test. 2026112201 1800 900 604800 86400
. NS a.root.test.
. NS b.root.test.
. TXT "the root"
test. NS a.root.test.
test. NS ns.com.
a.root.test. A 192.0.2.1
b.root.test. AAAA 2001:db8::1
com. NS ns.com.
com. NS a.root.test.
com. DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.com. A 192.0.2.2
ns.com. AAAA 2001:db8::2
net. NS ns.com.
deep.in.ent. NS ns.com.
local. A 192.0.2.3
local. MX 10 mail.local.
mail.local. A 192.0.2.4
*.wild. A 192.0.2.5
*.wild. TXT "below the root"
*.wcname. CNAME web.test.
*.wout. CNAME x.com.
tocom. CNAME x.com.
totest. CNAME web.test.
nowhere. CNAME missing.
toroot. CNAME .
dntest. DNAME test.
dncom. DNAME com.
dnroot. DNAME .
plain. NS ns.plain.
ns.plain. A 192.0.2.6
"""

TEST = """\
$TTL 300
@ SOA a.root hostmaster 5 7200 3600 1209600 60
@ NS a.root
@ NS ns.com.
a.root A 192.0.2.1
b.root AAAA 2001:db8::1
web A 192.0.2.10
web AAAA 2001:db8::10
*.wild TXT "in test"
up CNAME local.
upwild CNAME q.wild.
upmissing CNAME missing.
uproot CNAME .
upcom CNAME x.com.
*.wup CNAME q.wcname.
dnroot DNAME .
dnlocal DNAME local.
dnwild DNAME wild.
sub NS ns.sub
ns.sub A 192.0.2.11
mx MX 10 mail.local.
mx MX 20 ns.com.
mx MX 30 web
"""

PLAIN = "$TTL 300\n@ SOA ns hostmaster 6 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.6\n"
PLAIN += "www CNAME web.test.\n*.w CNAME q.wild.\ndn DNAME .\n"


@dataclass(frozen=True)
class ZoneSet:
    """Names and unsigned master files of zones, and the kind of signing for those to be signed."""

    texts: dict[str, str]
    signed: dict[str, str] = field(default_factory=dict)
    origins: list[dns.name.Name] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "origins", [dns.name.from_text(zone) for zone in self.texts])

    def zone_of(self, name: dns.name.Name) -> dns.name.Name | None:
        """The zone that a name is in."""
        return max((o for o in self.origins if name.is_subdomain(o)), key=len, default=None)

    def names(self) -> list[dns.name.Name]:
        """The owner names in the master files, including glue."""
        found = set()
        for origin, text in self.texts.items():
            base = dns.name.from_text(origin)
            owners = {line.split()[0] for line in text.splitlines() if line[0] not in "$ "}
            found |= {dns.name.from_text(owner, base) for owner in owners}
        return sorted(found)


FLAVORS = ("plain", "nsec", "nsec3", "optout")


def _usual() -> ZoneSet:
    texts = {
        "other.test": zones.OTHER,
        "apexdn.test": odd_zones.EMPTY + odd_zones.APEX_DNAME,
        "empty.test": odd_zones.EMPTY,
        "empty.nsec.test": odd_zones.EMPTY,
        "empty.nsec3.test": odd_zones.EMPTY,
    }
    signed = {"empty.nsec.test": "nsec", "empty.nsec3.test": "nsec3", "x.lm.test": "nsec3"}
    for name, text in odd_zones.NESTED.items():
        texts[name] = zones.HEAD + "ns1 A 192.0.2.1\n" + text
    whole = zones.HOSTS + zones.TYPES + zones.WILDCARDS + zones.CUTS + zones.ALIASES + zones.SIZES
    for flavor in FLAVORS:
        above = f"{flavor}.test"
        # For NSEC3, BIND's signer puts "*." in front of every name.
        longest = 255 if flavor in ("plain", "nsec") else 253
        texts[above] = zones.HEAD + whole + odd_zones.odd(above, longest)
        texts[f"child.{above}"] = zones.CHILD.format(above=above)
        texts[f"plainchild.{above}"] = odd_zones.PLAIN_CHILD.format(above=above)
        if flavor != "plain":
            signed |= {above: flavor, f"child.{above}": flavor}
    return ZoneSet(texts, signed)


USUAL = _usual()
"""The zones of most tests."""

BELOW_ROOT = ZoneSet({".": ROOT, "test": TEST, "plain": PLAIN}, {".": "nsec", "test": "nsec3"})
"""The root zone, and zones within it."""
