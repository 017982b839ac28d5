"""Names and RRsets at the limits of what DNS allows, and zones within and beside each other."""

from __future__ import annotations

import dns.name

NAMES = """\
\\255 TXT "high"
\\255\\000\\127 TXT "bytes"
a\\"b TXT "quote"
semi\\;colon TXT "semicolon"
\\032space\\009 TXT "blanks"
back\\\\slash TXT "backslash"
at\\@sign TXT "at"
UPPER.Case A 192.0.2.30
upper.cASE A 192.0.2.31
UpPeR.CASE TXT "the same"
case TXT "the ent is one no more"
ALIAS.Case CNAME WEB
*.StaR.case CNAME uPPer.casE
_._ TXT "underscores"
- TXT "hyphen"
0 TXT "digit"
"""

TEXTS = f"""\
t255 TXT "{"t" * 255}"
t255x2 TXT "{"t" * 255}" "{"u" * 255}"
t255x9 TXT {" ".join('"' + letter * 255 + '"' for letter in "abcdefghi")}
tempty TXT ""
tempties TXT {'"" ' * 40}
todd TXT "\\000\\001\\127\\128\\255" "\\"" "\\\\" " "
tcase TXT "lower"
tcase TXT "LOWER"
unknown TYPE65280 \\# 0
unknown TYPE65281 \\# 1 ff
unknown TYPE65300 \\# 300 {"00" * 300}
generic TYPE1 \\# 4 c0000263
generic TYPE16 \\# 3 026869
"""

BIG = "".join(
    [
        *(f"biga A 198.51.100.{n}\n" for n in range(200)),
        *(f"bigaaaa AAAA 2001:db8:1::{n:x}\n" for n in range(60)),
        *(f"bigmx MX {n} host-{n}.bigmx\nhost-{n}.bigmx A 203.0.113.{n}\n" for n in range(60)),
        *(f"bigsrv SRV 0 0 {n} host-{n}.bigmx\n" for n in range(40)),
        *(f'bigtxt TXT "{n:03}{"b" * 250}"\n' for n in range(80)),
        *(f'bigtxt65 TXT "{n:03}{"c" * 240}"\n' for n in range(240)),
        *(f"bigcut NS n{n}.bigcut\nn{n}.bigcut A 203.0.113.{n}\n" for n in range(100)),
        *(f"halfcut NS n{n}.halfcut\nhalfcut NS n{n}.bigcut\n" for n in range(13)),
        *(f"n{n}.halfcut AAAA 2001:db8:2::{n:x}\n" for n in range(13)),
        *(f'*.wbigown TXT "{n:03}{"d" * 230}"\n' for n in range(75)),
        "*.wbig CNAME bigtxt\n*.wbigmx CNAME bigmx\ntobig CNAME biga\ndnbig DNAME wbig\n",
    ]
)

MORE_CUTS = """\
*.insecure A 192.0.2.60
*.cut.insecure TXT "never seen"
*.secure TXT "never seen"
plainchild NS ns.plainchild
ns.plainchild A 192.0.2.61
toplain CNAME host.plainchild
*.wplain CNAME q.w.plainchild
dnplain DNAME plainchild
*.wchild CNAME q.w.child
*.wother CNAME q.w.other.test.
*.wback CNAME back.other.test.
*.wlm CNAME q.w.x.lm.test.
*.wapexdn CNAME q.apexdn.test.
*.wmax CNAME {most}
tomax CNAME {longest}
dnlm DNAME x.lm.test.
dnapexdn DNAME apexdn.test.
dnapex DNAME {above}.
dnchain0 DNAME dnchain1
dnchain1 DNAME dnchain2
dnchain2 DNAME w.child
"""

PLAIN_CHILD = """\
$TTL 300
@ SOA ns hostmaster 8 7200 3600 1209600 20
@ NS ns
@ A 192.0.2.61
ns A 192.0.2.61
host A 192.0.2.62
host AAAA 2001:db8::62
*.w TXT "a child that is not signed"
*.wup CNAME q.wild.{above}.
dnup DNAME child.{above}.
"""

# Each below the previous one, without a delegation: the longest match decides.
NESTED = {
    "lm.test": """\
@ A 192.0.2.70
x TXT "hidden by the zone x.lm.test"
hidden.x A 192.0.2.71
*.x TXT "hidden too"
*.w A 192.0.2.72
tox CNAME q.w.x
dnx DNAME x
b.a.y.x TXT "hidden twice"
z MX 10 x
z MX 20 host.x
""",
    "x.lm.test": """\
@ TXT "apex"
host A 192.0.2.73
*.w TXT "in x"
*.w A 192.0.2.74
up CNAME q.w.lm.test.
down CNAME q.c.b.a.y.x.lm.test.
a.y TXT "between the zones"
""",
    "c.b.a.y.x.lm.test": """\
*.c CNAME q.w.lm.test.
* A 192.0.2.75
dnup DNAME w.x.lm.test.
up CNAME host.x.lm.test.
round CNAME round.lm.test.
""",
}

# A DNAME at the apex: it redirects all names below it (RFC 6672 section 2.3).
APEX_DNAME = """\
@ DNAME wild.nsec.test.
@ A 192.0.2.80
@ MX 10 x
"""

EMPTY = """\
$TTL 300
@ SOA ns.other.test. hostmaster.other.test. 3 7200 3600 1209600 10
@ NS ns.other.test.
"""


def longest(room: int) -> str:
    """Long labels that take ``room`` bytes."""
    labels = []
    while room:
        size = min(room - 1, 63)
        # No single byte may be left over: it would be a length byte without a label.
        size -= room - size - 1 == 1
        labels.append("x" * size)
        room -= size + 1
    return ".".join(labels)


def odd(origin: str, longest_name: int) -> str:
    """All of this for one zone; its longest names have ``longest_name`` bytes, or one less."""
    room = longest_name - len(dns.name.from_text(origin).to_wire())
    names = {"longest": longest(room), "most": ".".join("m" * (room // 2)), "above": origin}
    return (
        NAMES
        + TEXTS
        + BIG
        + MORE_CUTS.format(**names)
        + f'{names["longest"]} A 192.0.2.90\n{names["longest"]} TXT "longest"\n'
        + f'{names["most"]} A 192.0.2.91\n{names["most"]} TXT "most labels"\n'
        + f"x.{'y' * 60}.{'*.' + 'z' * 50} A 192.0.2.92\n"
    )
