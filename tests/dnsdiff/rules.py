"""Every difference between servers that there may be, each with its reason."""

from __future__ import annotations

from collections.abc import Callable

import dns.name
import dns.rcode
import dns.rdatatype as t

from dnsdiff.questions import Question
from dnsdiff.seen import ORIGINS, Seen, last_name

Rule = Callable[[Question, Seen, Seen], None]
"""Makes theirs what ours is in the one point that it is about, or nothing."""

SIGNED = (t.RRSIG, t.NSEC, t.NSEC3)


def is_alias(question: Question, seen: Seen) -> bool:
    return last_name(question, seen) != question.name or bool(seen.of("answer", t.CNAME))


def other_classes(question: Question, ours: Seen, theirs: Seen) -> None:
    """knotd serves its zones in every class but CH, nsd in ANY too; we in the one they are of."""
    if question.rdclass != 1 and ours.rcode == dns.rcode.REFUSED:
        theirs.__dict__.update(ours.__dict__)


def one_rrset(question: Question, ours: Seen, theirs: Seen) -> None:
    """RFC 8482 section 4.1 leaves open which RRset ANY gets; ours is of the lowest type."""
    kinds = {record[1] for record in ours.answer} - {t.RRSIG}
    if question.rdtype == t.ANY and theirs.answer and (len(kinds) == 1 or t.DNAME in kinds):
        theirs.__dict__.update(ours.__dict__)


def one_signature(question: Question, ours: Seen, theirs: Seen) -> None:
    """Asked for RRSIG, knotd gives those of one type; we give all."""
    if question.rdtype == t.RRSIG and theirs.answer < ours.answer:
        theirs.answer = theirs.answer | ours.of("answer", t.RRSIG)


def not_followed(*types: int) -> Rule:
    """Types that a server takes for the alias's own; we follow it (RFC 1034 section 4.3.2)."""

    def rule(question: Question, ours: Seen, theirs: Seen) -> None:
        if question.rdtype in types and is_alias(question, ours) and theirs.answer < ours.answer:
            theirs.__dict__.update(ours.__dict__)

    rule.__name__ = "not_followed"
    return rule


def authority_of_answers(question: Question, ours: Seen, theirs: Seen) -> None:
    """nsd adds the zone's NS records to answers; we are minimal."""
    extra = {
        record
        for record in theirs.authority - ours.authority
        if record[0] in ORIGINS and (record[1] == t.NS or record[3].startswith("ns "))
    }
    if theirs.answer and extra:
        hosts = {dns.name.from_text(record[3]) for record in extra if record[1] == t.NS}
        theirs.authority = theirs.authority - extra
        theirs.additional = theirs.additional - {
            r for r in theirs.additional - ours.additional if r[0] in hosts
        }


def name_too_long(question: Question, ours: Seen, theirs: Seen) -> None:
    """A DNAME makes the name too long: RFC 6672 section 2.2 wants YXDOMAIN, knotd says NXDOMAIN."""
    if (ours.rcode, theirs.rcode) == (dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN):
        theirs.rcode, theirs.authority = ours.rcode, ours.authority


def star_in_question(question: Question, ours: Seen, theirs: Seen) -> None:
    """knotd takes a name that begins with "*" for a wildcard itself, and proves no expansion."""
    missing = ours.authority - theirs.authority
    met = [question.name, last_name(question, ours), *(record[0] for record in ours.answer)]
    if any(name.labels[0] == b"*" for name in met) and {r[1] for r in missing} <= set(SIGNED):
        theirs.authority = theirs.authority | missing


def empty_wildcard(question: Question, ours: Seen, theirs: Seen) -> None:
    """Of a wildcard that is an empty non-terminal knotd does not prove that it is one (NSEC)."""
    missing = ours.authority - theirs.authority
    behind = [label.lower() for label in last_name(question, ours).labels]
    if b"entwild" in behind and {record[1] for record in missing} == {t.NSEC, t.RRSIG}:
        theirs.authority = theirs.authority | missing


def missing_addresses(question: Question, ours: Seen, theirs: Seen) -> None:
    """For SVCB, knotd proves which further records its host has not."""
    if question.do and ours.of("answer", t.SVCB, t.HTTPS):
        theirs.additional = {
            r
            for r in theirs.additional
            if r[1] not in (t.NSEC, t.NSEC3) and not r[3].startswith(("nsec ", "nsec3 "))
        }


def denial_asked_for(question: Question, ours: Seen, theirs: Seen) -> None:
    """Asked for the NSEC of a wildcard, knotd does not put it into the authority section again."""
    if question.rdtype == t.NSEC:
        twice = {(*record[1:],) for record in ours.answer}
        theirs.authority = theirs.authority | {r for r in ours.authority if (*r[1:],) in twice}


def literal_wildcard(question: Question, ours: Seen, theirs: Seen) -> None:
    """Asked for a name that begins with "*", nsd proves the closest encloser too (NSEC3)."""
    extra = theirs.authority - ours.authority
    starred = last_name(question, theirs).labels[0] == b"*"
    if starred and {record[1] for record in extra} == {t.NSEC3, t.RRSIG}:
        theirs.authority = theirs.authority - extra


def glue_of_answers(question: Question, ours: Seen, theirs: Seen) -> None:
    """nsd adds no addresses from below a delegation to answers; we and knotd do.

    Nor, behind a DNAME, those that a wildcard gives to a host.
    """
    missing = ours.additional - theirs.additional
    hosts = {record[0].labels[0].lower() for record in missing}
    allowed = {b"ns", b"x"} if ours.of("answer", t.DNAME) else {b"ns"}
    if ours.of("answer", t.MX, t.SRV) and hosts <= allowed:
        theirs.additional = theirs.additional | missing


def other_types_hosts(question: Question, ours: Seen, theirs: Seen) -> None:
    """For SVCB and HTTPS we and knotd add the host's addresses (RFC 9460 section 4.1).

    nsd does so for AFSDB, RT and others instead, as RFC 1035 and RFC 1183 say.
    """
    if ours.of("answer", t.SVCB, t.HTTPS) or ours.of("answer", t.AFSDB, t.RT, t.KX, t.NAPTR):
        theirs.additional = ours.additional


def wildcard_behind_dname(question: Question, ours: Seen, theirs: Seen) -> None:
    """Where a DNAME leads to a wildcard, nsd proves another name than the one made (NSEC)."""
    if question.do and ours.of("answer", t.DNAME) and ours.answer == theirs.answer:
        mine, other = ours.of("authority", t.NSEC), theirs.of("authority", t.NSEC)
        if mine and other and mine != other:
            theirs.authority = ours.authority


def left_out_encloser(question: Question, ours: Seen, theirs: Seen) -> None:
    """Below a name that opt-out left out, nsd covers the name and not the next closer one."""
    labels = {label.lower() for label in last_name(question, ours).labels}
    differ = {record[1] for record in ours.authority ^ theirs.authority}
    if question.do and {b"cutent", b"optout"} <= labels and differ == {t.NSEC3, t.RRSIG}:
        theirs.authority = ours.authority


RULES: dict[str, list[Rule]] = {
    "knotd": [
        other_classes,
        one_rrset,
        one_signature,
        not_followed(t.NSEC, t.RRSIG),
        name_too_long,
        star_in_question,
        empty_wildcard,
        denial_asked_for,
        missing_addresses,
    ],
    "nsd": [
        other_classes,
        one_rrset,
        not_followed(t.NSEC3),
        authority_of_answers,
        literal_wildcard,
        glue_of_answers,
        other_types_hosts,
        wildcard_behind_dname,
        left_out_encloser,
    ],
}
"""Every difference there may be; what is left after these is an error."""
