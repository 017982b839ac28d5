"""Zones with every kind of name, once unsigned and signed in three ways."""

from __future__ import annotations

HEAD = """\
$TTL 300
@ SOA ns1 hostmaster 2026112201 7200 3600 1209600 60
@ NS ns1
@ NS ns.other.test.
"""

TYPES = """\
types HINFO "cpu" "os"
types RP mail web
types AFSDB 1 web
types LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
types NAPTR 10 100 "S" "SIP+D2U" "!^.*$!sip:a@b.test!" web
types KX 10 web
types SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
types TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
types CAA 0 issue "ca.test"
types URI 10 1 "https://a.test/"
types SVCB 1 web alpn=h2
types HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1
types OPENPGPKEY AQID
types SPF "v=spf1 -all"
types EUI48 01-02-03-04-05-06
types TYPE65280 \\# 3 010203
types PTR web
types RT 10 web
types DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
types CERT 1 1 8 AQID
"""

HOSTS = """\
@ MX 10 mail
@ TXT "apex"
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
www CNAME web
web A 192.0.2.3
web A 192.0.2.4
web AAAA 2001:db8::3
mail A 192.0.2.5
MiXeD A 192.0.2.6
_sip._tcp SRV 0 0 5060 web
_sip._tcp SRV 0 0 5061 nothing
mx MX 10 mail
mx MX 20 web
mx MX 30 host.child
mx MX 40 a.other.test.
mx MX 50 ns.insecure
null MX 0 .
a.b.c.ent TXT "deep"
ent2.ent TXT "other"
only A 192.0.2.7
short 5 A 192.0.2.8
\\000 TXT "nul"
\\001a TXT "one"
a\\.b TXT "dot"
zz TXT "last"
"""

WILDCARDS = """\
*.wild A 192.0.2.9
*.wild MX 10 mail
*.wild MX 20 x.wild
sub.wild TXT "beside"
x.y.wild TXT "below"
*.wcname CNAME web
*.wout CNAME www.example.org.
*.wmiss CNAME missing
*.wtwo CNAME q.wild
*.wtwo2 CNAME q.wcname
*.wcut CNAME x.insecure
*.wsec CNAME x.secure
*.wround CNAME x.wround
*.ent TXT "in the ent"
*.wdeep.ent2 A 192.0.2.10
below.*.wdeep.ent2 A 192.0.2.11
ent3.*.entwild TXT "the wildcard is an ent"
"""

CUTS = """\
insecure NS ns.insecure
insecure NS ns1
ns.insecure A 192.0.2.20
ns.insecure AAAA 2001:db8::20
occluded.insecure TXT "never seen"
cut.insecure NS ns1
secure NS ns.secure
secure NS ns.insecure
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.secure A 192.0.2.21
sibling NS ns.insecure
sibling NS ns.secure
outside NS ns.example.org.
noglue NS ns.noglue
deep.in.cutent NS ns1
a.mixent NS ns1
b.mixent TXT "authoritative"
child NS ns.child
ns.child A 192.0.2.22
dschild NS ns1
many NS ns-with-a-long-name-0.many
many NS ns-with-a-long-name-1.many
many NS ns-with-a-long-name-2.many
many NS ns-with-a-long-name-3.many
many NS ns-with-a-long-name-4.many
many NS ns-with-a-long-name-5.many
many NS ns-with-a-long-name-6.many
many NS ns-with-a-long-name-7.many
""" + "".join(
    f"ns-with-a-long-name-{i}.many {kind} {address}{i}\n"
    for i in range(8)
    for kind, address in (("A", "192.0.2.10"), ("AAAA", "2001:db8::10"))
)

ALIASES = """\
c0 CNAME c1
c1 CNAME c2
c2 CNAME c3
c3 CNAME web
dangling CNAME missing
dangent CNAME x.ent.nothing
toent CNAME ent
towild CNAME q.wild
towildent CNAME q.w.wild
tocut CNAME x.insecure
tosecure CNAME x.secure
atcut CNAME secure
tochild CNAME host.child
nochild CNAME nothing.child
apexchild CNAME child
toother CNAME a.other.test.
noother CNAME nothing.other.test.
away CNAME www.example.org.
loop CNAME loop2
loop2 CNAME loop
self CNAME self
dn DNAME wild
dn TXT "beside a DNAME"
dn2 DNAME ent
dn3 DNAME insecure
dnsec DNAME secure
dnhost DNAME web
dnout DNAME example.org.
dnchild DNAME child
dnother DNAME other.test.
dnnothing DNAME nothing
dndn DNAME dn
dnc DNAME wcname
dnlong DNAME {long}
todn CNAME q.dn
todnlong CNAME {label}.dnlong
todnout CNAME q.dnout
*.wdn CNAME q.dnhost
""".format(long=".".join(["l" * 60] * 3), label="m" * 60)

SIZES = "".join(
    f'size{n} TXT "{"x" * 200}" "{"y" * (n - 200)}"\n' for n in range(380, 456, 5)
) + "".join(
    f"size{n} TXT " + " ".join(f'"{str(i) * (n // 8)}"' for i in range(8)) + "\n"
    for n in range(900, 1260, 16)
)

CHILD = """\
$TTL 300
@ SOA ns hostmaster 7 7200 3600 1209600 30
@ NS ns
ns A 192.0.2.22
host A 192.0.2.40
*.w TXT "child"
back CNAME web.{above}.
ring CNAME tochild.{above}.
dnback DNAME wild.{above}.
"""

OTHER = """\
$TTL 300
@ SOA ns hostmaster 7 7200 3600 1209600 40
@ NS ns
ns A 192.0.2.50
a A 192.0.2.51
*.w CNAME a
back CNAME web.nsec.test.
backdn CNAME q.dn.nsec3.test.
out CNAME www.example.org.
dn DNAME wild.nsec.test.
"""
