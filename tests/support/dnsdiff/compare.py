"""Compares two servers' replies to a question."""

from __future__ import annotations

from dataclasses import replace

import dns.rdatatype as t

from dnsdiff.questions import Question
from dnsdiff.records import Record
from dnsdiff.rules import RULES
from dnsdiff.seen import Seen, is_endless, last_name, read
from dnsdiff.servers import Ask

LARGEST = 4096
"""The UDP size limit configured in all three servers."""

used: set[tuple[str, str]] = set()
"""The rules that have explained a difference: (peer, name of the rule)."""


def with_aliases_followed(question: Question, theirs: Seen, ask: Ask) -> tuple[Seen, set[Record]]:
    """Their reply as if they followed aliases through all served zones, as we do.

    Also the records of their original authority section, whose proofs ours may contain.
    """
    before: set[Record] = set()
    zone_set = question.zone_set
    # A CNAME that was queried is not followed, and ANY gets only the CNAME.
    for _ in range(0 if question.rdtype in (t.CNAME, t.ANY) else 16):
        name = last_name(question, theirs)
        aliases = theirs.of("answer", t.CNAME)
        zones = {zone_set.zone_of(record.name) for record in aliases}
        if not aliases or zone_set.zone_of(name) is None:
            break
        if name in {record.name for record in theirs.answer} or zones == {zone_set.zone_of(name)}:
            break
        further = Question(zone_set, name, question.rdtype, LARGEST, question.do)
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
    """The differences between two full replies that no rule explains, or None. ``ask`` uses TCP.

    Without ``addresses`` the additional section is left out.
    """
    if ours.facts() == theirs.facts():
        return None
    ours = replace(ours)
    theirs, before = with_aliases_followed(question, theirs, ask)
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


def size_limit(question: Question) -> int:
    """Size limit of a UDP reply: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3."""
    return 512 if question.size is None else min(max(question.size, 512), LARGEST)


def udp_error(question: Question, whole: Seen, ours: Seen) -> str | None:
    """The error in our reply over UDP, or None; ``whole`` is the reply over TCP."""
    limit = size_limit(question)
    if ours.size > limit:
        return f"{question}: {ours.size} bytes"
    # In an alias loop, a wildcard's alias can appear for the question's name and for its target.
    if whole.twice and not is_endless(question, whole):
        return f"{question}: duplicate records {whole.twice}"
    if ours.tc:
        return f"{question}: TC although {whole.size} bytes fit" if whole.size <= limit else None
    if replace(ours, additional=set()).facts() != replace(whole, additional=set()).facts():
        return f"{question}: incomplete without TC"
    if not ours.additional <= whole.additional:
        return f"{question}: other addresses than over TCP"
    if ours.additional != whole.additional:
        return glue_error(question, whole, ours)
    return None


def glue_error(question: Question, whole: Seen, ours: Seen) -> str | None:
    """The error in which addresses are missing, or None."""
    if whole.size <= size_limit(question):
        return f"{question}: addresses are missing although {whole.size} bytes fit"
    cuts = [record.name for record in whole.of("authority", t.NS)]
    # RFC 9471 section 3: the addresses of all servers below the delegation are required.
    least = {r for r in whole.additional if any(r.name.is_subdomain(cut) for cut in cuts)}
    if least != ours.additional:
        return f"{question}: {len(ours.additional)} addresses, {len(least)} are needed"
    return None


SLACK = 64
"""Bytes by which two servers' reply sizes may differ: they compress differently."""

COMPLETE_MAX = {"knotd": LARGEST, "nsd": 1220}
"""In UDP replies larger than this, they may omit records that would fit: nsd's
IPV4_MINIMAL_RESPONSE_SIZE avoids IP fragments."""


def udp_difference(
    peer: str, question: Question, whole: Seen, sent: Seen, theirs: Seen, ask: Ask
) -> str | None:
    """The differences between two UDP replies that no rule explains, or None.

    ``sent`` is our reply over UDP, ``whole`` the one over TCP.
    """
    if sent.tc and theirs.tc:
        return None
    # When nsd refuses, it returns the request's flags, including TC: there is a rule for that.
    if (sent.tc or theirs.tc) and not question.opcode and not question.version:
        return tc_difference(peer, question, sent, theirs, read(ask([question.wire()])[0]))
    # Each server chooses which addresses to omit first; ours are checked above.
    left_out = sent.additional != whole.additional or (
        not sent.additional <= theirs.additional and has_more(peer, question, ask)
    )
    return difference(peer, question, sent, theirs, ask, addresses=not left_out)


def has_more(peer: str, question: Question, ask: Ask) -> bool:
    """Whether the peer's full reply is too large, or nearly so."""
    limit = min(size_limit(question), COMPLETE_MAX[peer])
    return len(ask([question.wire()])[0]) > limit - SLACK


def tc_difference(
    peer: str, question: Question, sent: Seen, theirs: Seen, their_whole: Seen
) -> str | None:
    """The error if only one of them set TC, or None if that is allowed."""
    limit = size_limit(question)
    if theirs.tc:
        if their_whole.size > min(limit, COMPLETE_MAX[peer]) - SLACK:
            return None
        return f"{question}: {peer} has TC although {their_whole.size} bytes fit"
    # Neither peer sets TC for missing glue: they are older than RFC 9471. Neither follows aliases
    # into other zones. Apart from that, we can omit whatever they omit; what they lack entirely
    # was found over TCP.
    targets = {record.name for record in their_whole.of("answer", t.CNAME)}
    zones = {
        question.zone_set.zone_of(name) for name in (*targets, last_name(question, their_whole))
    }
    if (
        their_whole.size <= limit
        or theirs.size >= limit - SLACK
        or is_referral(question, their_whole)
        or len(zones) > 1
    ):
        return None
    return f"{question}: TC although {peer} needs {theirs.size} bytes"


def is_referral(question: Question, seen: Seen) -> bool:
    """Whether the authority section names the servers of another zone."""
    return any(r.name not in question.zone_set.origins for r in seen.of("authority", t.NS))
