"""Two servers' replies to a question held against each other."""

from __future__ import annotations

from dataclasses import replace

import dns.rdatatype as t

from dnsdiff.questions import Question
from dnsdiff.records import Record
from dnsdiff.rules import RULES
from dnsdiff.seen import Seen, is_endless, last_name, read
from dnsdiff.servers import Ask

LARGEST = 4096
"""What all three servers are told to send at most over UDP."""

used: set[tuple[str, str]] = set()
"""The rules that explained something: of which peer, and the rule's name."""


def stitched(question: Question, theirs: Seen, ask: Ask) -> tuple[Seen, set[Record]]:
    """Theirs, as if they followed aliases through all zones they serve as we do.

    Also what their own authority section held before, of which ours may hold the proofs.
    """
    before: set[Record] = set()
    world = question.world
    # A CNAME that was asked for is no alias, and ANY gets it alone.
    for _ in range(0 if question.rdtype in (t.CNAME, t.ANY) else 16):
        name = last_name(question, theirs)
        aliases = theirs.of("answer", t.CNAME)
        zones = {world.zone_of(record.name) for record in aliases}
        if not aliases or world.zone_of(name) is None:
            break
        if name in {record.name for record in theirs.answer} or zones == {world.zone_of(name)}:
            break
        further = Question(world, name, question.rdtype, LARGEST, question.do)
        more = read(ask([further.wire()])[0])
        if more.answer <= theirs.answer and more.authority <= theirs.authority:
            break
        before |= theirs.authority
        theirs.rcode, theirs.authority = more.rcode, more.authority
        theirs.additional = more.additional
        theirs.answer |= more.answer
    return theirs, before


def difference(
    peer: str, question: Question, ours: Seen, theirs: Seen, ask: Ask, addresses: bool = True
) -> str | None:
    """What no rule explains of two replies that are whole, or None. ``ask`` has no limit.

    Without ``addresses`` the additional section is left out.
    """
    if ours.facts() == theirs.facts():
        return None
    ours = replace(ours)
    theirs, before = stitched(question, theirs, ask)
    if not addresses:
        ours.additional, theirs.additional = set(), set()
    for rule in RULES[peer]:
        before_rule = theirs.facts()
        rule(question, ours, theirs)
        if theirs.facts() != before_rule:
            used.add((peer, rule.__name__))
    theirs.authority |= ours.authority & before
    found = []
    for name in ("rcode", "aa", "tc", "bits", "edns", "question"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            found.append(f"{name}: {mine}, {peer} {other}")
    for name in ("answer", "authority", "additional"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        found += [f"{name}: {record}" for record in sorted(map(str, mine - other))]
        found += [f"{name}: {peer} {record}" for record in sorted(map(str, other - mine))]
    return "\n  ".join([f"{question}, {peer}:", *found]) if found else None


# -------------------------------------------------------------------------------------------------


def limit_of(question: Question) -> int:
    """Bytes that a reply may have: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3."""
    return 512 if question.size is None else min(max(question.size, 512), LARGEST)


def squeezed(question: Question, whole: Seen, ours: Seen) -> str | None:
    """What is wrong with our reply over UDP; ``whole`` had all the room there is."""
    limit = limit_of(question)
    if ours.size > limit:
        return f"{question}: {ours.size} bytes"
    # Of aliases that lead round, a wildcard's may come as the name asked for and as its target.
    if whole.twice and not is_endless(question, whole):
        return f"{question}: twice there is {whole.twice}"
    if ours.tc:
        return f"{question}: TC, and {whole.size} bytes fit" if whole.size <= limit else None
    if replace(ours, additional=set()).facts() != replace(whole, additional=set()).facts():
        return f"{question}: not TC and not whole"
    if not ours.additional <= whole.additional:
        return f"{question}: other addresses than over TCP"
    if ours.additional != whole.additional:
        return needed(question, whole, ours)
    return None


def needed(question: Question, whole: Seen, ours: Seen) -> str | None:
    """What is wrong with the addresses that are missing."""
    if whole.size <= limit_of(question):
        return f"{question}: addresses are missing, and {whole.size} bytes fit"
    cuts = [record.name for record in whole.of("authority", t.NS)]
    # RFC 9471 section 3: of servers below the delegation all must be there.
    least = {r for r in whole.additional if any(r.name.is_subdomain(cut) for cut in cuts)}
    if least != ours.additional:
        return f"{question}: {len(ours.additional)} addresses, {len(least)} are needed"
    return None


SLACK = 64
"""Bytes by which two servers' replies may differ: how much is compressed."""

SPARING = {"knotd": LARGEST, "nsd": 1220}
"""What makes a reply over UDP larger than this, they may leave out although it would fit: nsd's
IPV4_MINIMAL_RESPONSE_SIZE is about the fragments of IP."""


def narrow_difference(
    peer: str, question: Question, whole: Seen, sent: Seen, theirs: Seen, ask: Ask
) -> str | None:
    """What no rule explains of two replies over UDP; ours is ``sent``, and whole over TCP."""
    if sent.tc and theirs.tc:
        return None
    # Of what is refused nsd gives back the flags, TC too: a rule says so.
    if (sent.tc or theirs.tc) and not question.opcode and not question.version:
        return tc_difference(peer, question, sent, theirs, read(ask([question.wire()])[0]))
    # Which addresses are left out first is each one's own choice; ours are checked above.
    left_out = sent.additional != whole.additional or (
        not sent.additional <= theirs.additional and has_more(peer, question, ask)
    )
    return difference(peer, question, sent, theirs, ask, addresses=not left_out)


def has_more(peer: str, question: Question, ask: Ask) -> bool:
    """Whether the peer's whole reply is too large, or nearly so."""
    limit = min(limit_of(question), SPARING[peer])
    return len(ask([question.wire()])[0]) > limit - SLACK


def tc_difference(
    peer: str, question: Question, sent: Seen, theirs: Seen, their_whole: Seen
) -> str | None:
    """Whether only one of them may have set TC."""
    limit = limit_of(question)
    if theirs.tc:
        if their_whole.size > min(limit, SPARING[peer]) - SLACK:
            return None
        return f"{question}: {peer} has TC, and {their_whole.size} bytes are little"
    # Neither peer sets TC for glue that is missing: they are older than RFC 9471. Neither follows
    # aliases into other zones. That apart, what they can do without we can do without; and what
    # they have not to say was found over TCP.
    targets = {record.name for record in their_whole.of("answer", t.CNAME)}
    zones = {question.world.zone_of(name) for name in (*targets, last_name(question, their_whole))}
    if (
        their_whole.size <= limit
        or theirs.size >= limit - SLACK
        or is_referral(question, their_whole)
        or len(zones) > 1
    ):
        return None
    return f"{question}: TC, and {peer}'s has {theirs.size} bytes"


def is_referral(question: Question, seen: Seen) -> bool:
    """Whether servers of another zone are named."""
    return any(r.name not in question.world.origins for r in seen.of("authority", t.NS))
