"""Two servers' replies to a question held against each other."""

from __future__ import annotations

from dataclasses import replace

import dns.rdatatype as t

from dnsdiff.questions import Question
from dnsdiff.rules import RULES
from dnsdiff.seen import ORIGINS, Record, Seen, last_name, read, zone_of
from dnsdiff.servers import Ask

LARGEST = 4096
"""What all three servers are told to send at most."""

used: set[tuple[str, str]] = set()
"""The rules that explained something: of which peer, and the rule's name."""


def stitched(question: Question, theirs: Seen, ask: Ask) -> tuple[Seen, set[Record]]:
    """Theirs, as if they followed aliases through all zones they serve as we do.

    Also what their own authority section held before, of which ours may hold the proofs.
    """
    before: set[Record] = set()
    # A CNAME that was asked for is no alias, and ANY gets it alone.
    for _ in range(0 if question.rdtype in (t.CNAME, t.ANY) else 8):
        name = last_name(question, theirs)
        aliases = theirs.of("answer", t.CNAME)
        zones = {zone_of(owner) for owner, *_ in aliases}
        if not aliases or zone_of(name) is None or name in {record[0] for record in theirs.answer}:
            break
        if zones == {zone_of(name)}:
            break
        more = read(ask([Question(name, question.rdtype, LARGEST, question.do).wire()])[0])
        if more.answer <= theirs.answer and more.authority <= theirs.authority:
            break
        before |= theirs.authority
        theirs.rcode, theirs.authority = more.rcode, more.authority
        theirs.additional = more.additional
        theirs.answer |= more.answer
    return theirs, before


def difference(peer: str, question: Question, ours: Seen, theirs: Seen, ask: Ask) -> str | None:
    """What no rule explains of two replies that had all the room they wanted, or None."""
    if ours.facts() == theirs.facts():
        return None
    ours = replace(ours)
    theirs, before = stitched(question, theirs, ask)
    for rule in RULES[peer]:
        before_rule = replace(theirs)
        rule(question, ours, theirs)
        if theirs.facts() != before_rule.facts():
            used.add((peer, rule.__name__))
    theirs.authority |= ours.authority & before
    found = []
    for name in ("rcode", "aa", "tc", "ad", "edns"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            found.append(f"{name}: {mine}, {peer} {other}")
    for name in ("answer", "authority", "additional"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        found += [f"{name}: {record}" for record in sorted(mine - other)]
        found += [f"{name}: {peer} {record}" for record in sorted(other - mine)]
    return "\n  ".join([f"{question}", *found]) if found else None


# -------------------------------------------------------------------------------------------------


def limit_of(question: Question) -> int:
    """Bytes that a reply may have: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3."""
    return 512 if question.size is None else min(max(question.size, 512), LARGEST)


def squeezed(question: Question, whole: Seen, ours: Seen, theirs: bytes) -> str | None:
    """What is wrong with our reply for which there was little room; ``whole`` had all of it."""
    limit = limit_of(question)
    if ours.size > limit:
        return f"{question}: {ours.size} bytes"
    if not ours.tc:
        if (ours.answer, ours.authority) != (whole.answer, whole.authority):
            return f"{question}: not TC and not whole"
        if ours.additional not in (whole.additional, set()) and not is_referral(whole):
            return f"{question}: a part of what may be left out"
        return None
    if whole.size <= limit:
        return f"{question}: TC, and {whole.size} bytes fit"
    # Without addresses that may be left out it would fit: what do others make of it? Those of a
    # delegation must not be missing (RFC 9471; both peers are older or read it otherwise), and
    # neither peer follows aliases into other zones.
    zones = {zone_of(record[0]) for record in whole.answer}
    if whole.additional and not is_referral(whole) and len(zones) < 2:
        other = read(theirs)
        if not other.tc and other.size < limit - SLACK:
            return f"{question}: TC, and theirs has {other.size} bytes"
    return None


SLACK = 64
"""Bytes by which two servers' replies may differ: how much is compressed."""


def is_referral(seen: Seen) -> bool:
    """Whether servers of another zone are named."""
    return any(record[0] not in ORIGINS for record in seen.of("authority", t.NS))
