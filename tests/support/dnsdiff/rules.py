"""All allowed differences between servers, each with its reason."""

from __future__ import annotations

import struct
from collections.abc import Callable

import dns.name
import dns.rcode
import dns.rdatatype as t

from dnsdiff.questions import META, Question
from dnsdiff.seen import CD, Seen, last_name

Rule = Callable[[Question, Seen, Seen], None]
"""Makes their reply equal to ours in the one respect that it is about, if it applies."""

SIGNED = (t.RRSIG, t.NSEC, t.NSEC3)


def is_alias(question: Question, seen: Seen) -> bool:
    return last_name(question, seen) != question.name or bool(seen.of("answer", t.CNAME))


def other_classes(question: Question, ours: Seen, theirs: Seen) -> None:
    """knotd serves its zones in every class but CH, nsd also in ANY; we only in their own class."""
    if question.rdclass != 1 and ours.rcode == dns.rcode.REFUSED:
        theirs.__dict__.update(ours.__dict__)


def other_opcodes(question: Question, ours: Seen, theirs: Seen) -> None:
    """We support only QUERY and otherwise return just a header (RFC 8906 section 8.1.4).

    The peers support NOTIFY and UPDATE, which nobody here is authorized to send.
    """
    if question.opcode and ours.rcode == dns.rcode.NOTIMP and theirs.rcode != dns.rcode.NOERROR:
        theirs.__dict__.update(ours.__dict__)


def cd_not_copied(question: Question, ours: Seen, theirs: Seen) -> None:
    """RFC 4035 section 3.1.6: the CD bit is copied. The peers clear it."""
    theirs.bits |= ours.bits & question.flags & CD


def extended_errors(question: Question, ours: Seen, theirs: Seen) -> None:
    """Each server chooses which errors get an RFC 8914 option."""
    if ours.edns and theirs.edns and without_errors(ours) == without_errors(theirs):
        theirs.edns = ours.edns


def without_errors(seen: Seen) -> list[tuple[int, bytes]]:
    """The EDNS options except those of RFC 8914, which have code 15."""
    assert seen.edns
    data, found = seen.edns[2], []
    while data:
        code, length = struct.unpack_from("!2H", data)
        found += [(code, data[4 : 4 + length])] * (code != 15)
        data = data[4 + length :]
    return found


def meta_types(question: Question, ours: Seen, theirs: Seen) -> None:
    """Meta types. The peers treat some as types that no name has; we refuse them all.

    The exception is type 0, reserved for SIG(0) (RFC 2931), which knotd does not implement.
    """
    refused = ours.rcode == dns.rcode.REFUSED and not ours.answer | ours.authority
    if question.rdtype in META and (refused or question.rdtype == 0):
        theirs.__dict__.update(ours.__dict__)


def one_rrset(question: Question, ours: Seen, theirs: Seen) -> None:
    """RFC 8482 section 4.1 leaves open which RRset ANY gets; ours is of the lowest type."""
    kinds = {record.rdtype for record in ours.answer} - {t.RRSIG}
    if question.rdtype == t.ANY and theirs.answer and (len(kinds) == 1 or t.DNAME in kinds):
        theirs.__dict__.update(ours.__dict__)


def one_signature(question: Question, ours: Seen, theirs: Seen) -> None:
    """For RRSIG, knotd returns those of one type; we return all."""
    if question.rdtype == t.RRSIG and theirs.answer < ours.answer:
        theirs.answer = theirs.answer | ours.of("answer", t.RRSIG)


def not_followed(*types: int) -> Rule:
    """Types that a server answers at the alias; we follow it (RFC 1034 section 4.3.2)."""

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
        if record.name in question.zone_set.origins
        and (record.rdtype == t.NS or record.text.startswith("ns "))
    }
    if theirs.answer and extra:
        hosts = {dns.name.from_text(record.text) for record in extra if record.rdtype == t.NS}
        theirs.authority = theirs.authority - extra
        theirs.additional = theirs.additional - {
            r for r in theirs.additional - ours.additional if r.name in hosts
        }


def name_too_long(question: Question, ours: Seen, theirs: Seen) -> None:
    """A DNAME makes the name too long: RFC 6672 section 2.2 says YXDOMAIN, knotd NXDOMAIN."""
    if (ours.rcode, theirs.rcode) == (dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN):
        theirs.rcode, theirs.authority = ours.rcode, ours.authority


def star_in_question(question: Question, ours: Seen, theirs: Seen) -> None:
    """knotd treats a name that begins with "*" as the wildcard, and proves no expansion."""
    missing = ours.authority - theirs.authority
    met = [question.name, last_name(question, ours), *(record.name for record in ours.answer)]
    if any(name.labels[0] == b"*" for name in met) and {r.rdtype for r in missing} <= set(SIGNED):
        theirs.authority = theirs.authority | missing


def empty_wildcard(question: Question, ours: Seen, theirs: Seen) -> None:
    """For a wildcard that is an empty non-terminal, knotd does not prove that it is one (NSEC)."""
    missing = ours.authority - theirs.authority
    behind = [label.lower() for label in last_name(question, ours).labels]
    if b"entwild" in behind and {record.rdtype for record in missing} == {t.NSEC, t.RRSIG}:
        theirs.authority = theirs.authority | missing


def missing_addresses(question: Question, ours: Seen, theirs: Seen) -> None:
    """For SVCB, knotd proves which additional records the target does not have."""
    if question.do and ours.of("answer", t.SVCB, t.HTTPS):
        theirs.additional = {
            r
            for r in theirs.additional
            if r.rdtype not in (t.NSEC, t.NSEC3) and not r.text.startswith(("nsec ", "nsec3 "))
        }


def denial_asked_for(question: Question, ours: Seen, theirs: Seen) -> None:
    """For the NSEC of a wildcard, knotd does not repeat it in the authority section."""
    if question.rdtype == t.NSEC:
        twice = {record.data() for record in ours.answer}
        theirs.authority = theirs.authority | {r for r in ours.authority if r.data() in twice}


def literal_wildcard(question: Question, ours: Seen, theirs: Seen) -> None:
    """For a name that begins with "*", nsd also proves the closest encloser (NSEC3)."""
    extra = theirs.authority - ours.authority
    starred = last_name(question, theirs).labels[0] == b"*"
    if starred and {record.rdtype for record in extra} == {t.NSEC3, t.RRSIG}:
        theirs.authority = theirs.authority - extra


def glue_of_answers(question: Question, ours: Seen, theirs: Seen) -> None:
    """nsd adds no addresses from below a delegation to answers; knotd and we do.

    Nor, after a DNAME, a host's addresses that come from a wildcard.
    """
    missing = ours.additional - theirs.additional
    hosts = {record.name.labels[0].lower() for record in missing}
    allowed = {b"ns", b"x"} if ours.of("answer", t.DNAME) else {b"ns"}
    if ours.of("answer", t.MX, t.SRV) and hosts <= allowed:
        theirs.additional = theirs.additional | missing


def other_types_hosts(question: Question, ours: Seen, theirs: Seen) -> None:
    """For SVCB and HTTPS, knotd and we add the target's addresses (RFC 9460 section 4.1).

    nsd instead does so for AFSDB, RT and others, as in RFC 1035 and RFC 1183.
    """
    if ours.of("answer", t.SVCB, t.HTTPS) or ours.of("answer", t.AFSDB, t.RT, t.KX, t.NAPTR):
        theirs.additional = ours.additional


def wildcard_behind_dname(question: Question, ours: Seen, theirs: Seen) -> None:
    """Where a DNAME leads to a wildcard, nsd proves a name other than the target (NSEC)."""
    if question.do and ours.of("answer", t.DNAME) and ours.answer == theirs.answer:
        mine, other = ours.of("authority", t.NSEC), theirs.of("authority", t.NSEC)
        if mine and other and mine != other:
            theirs.authority = ours.authority


def left_out_encloser(question: Question, ours: Seen, theirs: Seen) -> None:
    """Below a name that opt-out omitted, nsd covers the name itself, not the next closer name."""
    labels = {label.lower() for label in last_name(question, ours).labels}
    differ = {record.rdtype for record in ours.authority ^ theirs.authority}
    if question.do and {b"cutent", b"optout"} <= labels and differ == {t.NSEC3, t.RRSIG}:
        theirs.authority = ours.authority


def alias_behind_alias(question: Question, ours: Seen, theirs: Seen) -> None:
    """Where an alias leads to another one, nsd returns the second's own NSEC; we follow both."""
    shared = ours.of("answer", t.CNAME) & theirs.of("answer", t.CNAME)
    if question.rdtype == t.NSEC and shared and theirs.of("answer", t.NSEC):
        theirs.__dict__.update(ours.__dict__)


def nobody_delegates(question: Question, ours: Seen, theirs: Seen) -> None:
    """DS at an apex that does not exist in the served parent zone: nsd says NOERROR."""
    rcodes = ours.rcode, theirs.rcode
    if question.rdtype == t.DS and rcodes == (dns.rcode.NXDOMAIN, dns.rcode.NOERROR):
        theirs.rcode, theirs.authority = ours.rcode, ours.authority


def later_version(question: Question, ours: Seen, theirs: Seen) -> None:
    """For a later version of EDNS, nsd returns all flags of the request and sets AA."""
    if question.version and ours.rcode == theirs.rcode == dns.rcode.BADVERS:
        theirs.aa, theirs.tc, theirs.bits = ours.aa, ours.tc, ours.bits


def hidden_names(question: Question, ours: Seen, theirs: Seen) -> None:
    """nsd has one tree of names for all zones: it also sees names of a parent zone below an apex.

    lm.test has names, and a wildcard, below x.lm.test, which is a separate zone.
    """
    hidden = last_name(question, ours).is_subdomain(dns.name.from_text("x.lm.test"))
    if hidden and ours.rcode == dns.rcode.NXDOMAIN and ours.answer == theirs.answer:
        theirs.rcode, theirs.authority = ours.rcode, ours.authority


def highest_label(question: Question, ours: Seen, theirs: Seen) -> None:
    """knotd sorts names below a label of the highest byte value incorrectly."""
    label = any(b"\xff" in label for label in last_name(question, ours).labels)
    if label and ours.rcode == theirs.rcode == dns.rcode.NXDOMAIN:
        theirs.aa, theirs.authority = ours.aa, ours.authority


def lowest_label(question: Question, ours: Seen, theirs: Seen) -> None:
    """In knotd 3.4, no wildcard covers a label of a single zero byte; 3.2 is correct."""
    denied = (ours.rcode, theirs.rcode) == (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    if denied and question.name.labels[0] == b"\0":
        theirs.__dict__.update(ours.__dict__)


def hidden_targets(question: Question, ours: Seen, theirs: Seen) -> None:
    """knotd looks up an alias's target in the alias's zone, even below another zone's apex.

    RFC 1034 section 4.3.2 starts over with the nearest zone.
    """
    if last_name(question, ours).is_subdomain(dns.name.from_text("x.lm.test")):
        shared = ours.of("answer", t.CNAME) & theirs.of("answer", t.CNAME)
        if any(not r.name.is_subdomain(dns.name.from_text("x.lm.test")) for r in shared):
            theirs.__dict__.update(ours.__dict__)


ONE_RELEASE = {("knotd", "lowest_label")}
"""Rules that not every supported Debian release needs."""

RULES: dict[str, list[Rule]] = {
    "knotd": [
        other_opcodes,
        cd_not_copied,
        extended_errors,
        meta_types,
        other_classes,
        one_rrset,
        one_signature,
        not_followed(t.NSEC, t.RRSIG),
        name_too_long,
        star_in_question,
        empty_wildcard,
        denial_asked_for,
        missing_addresses,
        highest_label,
        lowest_label,
        hidden_targets,
    ],
    "nsd": [
        other_opcodes,
        cd_not_copied,
        alias_behind_alias,
        later_version,
        nobody_delegates,
        hidden_names,
        extended_errors,
        meta_types,
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
"""All allowed differences; any that remain are errors."""
