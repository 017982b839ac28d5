"""Makes a plain zone look signed: a complete NSEC or NSEC3 chain, and dummy signatures.

For tests of which records are returned; tests of whether they validate need real signatures
(dnsdiff/signing.py).
"""

from __future__ import annotations

import dns.dnssec
import dns.name
import dns.rdatatype as t
import dns.zone

SIGNATURE = "13 {labels} {ttl} 20300101000000 20200101000000 1 {zone} AAAA"


def fake_signed(text: str, origin: str, nsec3: bool = False, opt_out: bool = False) -> str:
    """The master file with DNSSEC records added, names absolute."""
    zone = dns.zone.from_text(text, origin=origin, relativize=False, check_origin=False)
    assert zone.origin is not None
    cuts = [n for n in zone if n != zone.origin and zone.get_rdataset(n, t.NS)]
    cuts = [n for n in cuts if not any(n != c and n.is_subdomain(c) for c in cuts)]
    names = [n for n in zone if not any(n != c and n.is_subdomain(c) for c in cuts)]
    soa = zone.get_rdataset(zone.origin, t.SOA)
    ttl = min(soa.ttl, soa[0].minimum)
    lines = [zone.to_text(relativize=False)]

    def sign(owner: dns.name.Name, kind: str, of: int) -> None:
        labels = len([label for label in owner.labels[:-1] if label != b"*"])
        rest = SIGNATURE.format(labels=labels, ttl=of, zone=zone.origin)
        lines.append(f"{owner} {of} RRSIG {kind} {rest}")

    if nsec3:
        lines.append(f"{zone.origin} 0 NSEC3PARAM 1 0 1 ab")
        sign(zone.origin, "NSEC3PARAM", 0)
    kinds: dict[dns.name.Name, list[str]] = {}
    for name in names:
        found = [r for r in zone.find_node(name).rdatasets if r.rdtype not in (t.RRSIG, t.NSEC)]
        kinds[name] = [t.to_text(r.rdtype) for r in found]
        for rdataset in found:
            if name not in cuts or rdataset.rdtype == t.DS:
                sign(name, t.to_text(rdataset.rdtype), rdataset.ttl)
    if nsec3:
        hashed = {}
        for name in names:
            if opt_out and name in cuts and "DS" not in kinds[name]:
                continue
            while name not in hashed:
                hashed[name] = dns.dnssec.nsec3_hash(name, "ab", 1, 1).lower()
                if name == zone.origin:
                    break
                name = name.parent()
        chain = sorted((digest, name) for name, digest in hashed.items())
        for (digest, name), (after, _) in zip(chain, chain[1:] + chain[:1], strict=True):
            owner = dns.name.from_text(digest, zone.origin)
            types = kinds.get(name, [])
            types = types + ["RRSIG"] * bool(set(types) - {"NS"} or name == zone.origin)
            types += ["NSEC3PARAM"] * (name == zone.origin)
            lines.append(f"{owner} {ttl} NSEC3 1 {int(opt_out)} 1 ab {after} {' '.join(types)}")
            sign(owner, "NSEC3", ttl)
    else:
        ordered = sorted(names)
        for name, after in zip(ordered, ordered[1:] + ordered[:1], strict=True):
            lines.append(f"{name} {ttl} NSEC {after} {' '.join(kinds[name])} RRSIG NSEC")
            sign(name, "NSEC", ttl)
    return "\n".join(lines) + "\n"
