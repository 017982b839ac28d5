"""``xdpkit query --compare``: the same questions to another server, and where it differs.

Each question is asked several times, of it and of ourselves. Only records of the name asked are
compared: what an alias leads to is a question of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit.errors import UsageError
from xdpkit.escape import escape
from xdpkit.services.dns.query.frequencies import BEYOND_CHANCE, deviation
from xdpkit.services.dns.query.geo_reasons import GeoReasons, Subnet
from xdpkit.services.dns.query.peer import Peer
from xdpkit.services.dns.query.served import Served, scope_of, subnet_option

# Questions of one comparison, and how often each is asked: where nothing is drawn a few suffice.
QUESTIONS_MAX = 100_000
TIMES, TIMES_MAX = 100, 10_000
_FIXED_TIMES = 3

# Records that a line of a difference shows.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and for whom."""

    name: dns.name.Name
    type: dns.rdatatype.RdataType
    client: Subnet

    def __str__(self) -> str:
        kind, client = dns.rdatatype.to_text(self.type), self.client.network_address
        return f"{self.name.to_text(omit_final_dot=True)} {kind} {client}"


@dataclass(frozen=True, slots=True)
class Compared:
    """One question's outcome."""

    question: str
    asked: int
    answered: int
    differences: tuple[str, ...]
    """What is different beyond chance."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer, as far as it is compared."""

    rcode: str
    truncated: bool
    scope: int | None
    ttl: int | None
    records: frozenset[str]


def parse_questions(lines: Iterable[str], source: str) -> Iterator[Question]:
    """Lines of NAME TYPE CLIENT, # begins a comment. Raises UsageError with the line's number."""
    count = 0
    for number, line in enumerate(lines, 1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        count += 1
        if count > QUESTIONS_MAX:
            raise UsageError(f"{source}:{number}: more than {QUESTIONS_MAX} questions: split it")
        if len(fields) != 3:
            reason = f"{len(fields)} fields: write NAME TYPE CLIENT, as in www.example A 192.0.2.1"
            raise UsageError(f"{source}:{number}: {reason}")
        try:
            name = dns.name.from_text(fields[0])
            kind = dns.rdatatype.from_text(fields[1])
            client = ip_network(ip_address(fields[2]))
        except (dns.exception.DNSException, ValueError) as error:
            raise UsageError(f"{source}:{number}: {escape(str(error))}") from None
        yield Question(name, kind, client)


def compare(
    served: Served,
    peer: Peer,
    questions: Iterable[Question],
    times: int = TIMES,
    max_udp: int = 1232,
    with_scope: bool = True,
) -> Iterator[Compared]:
    """Asks all questions, one after another, until the other server is silent.

    Both are asked with the same bytes, from the same address.
    """
    snapshot, state = served.snapshot(max_udp), ThreadState()
    sender = ip_address(peer.source)
    for question in questions:
        if peer.is_silent:
            return
        request = dns.message.make_query(
            question.name,
            question.type,
            use_edns=0,
            payload=max_udp,
            flags=0,
            options=[subnet_option(question.client)],
        ).to_wire()
        used = question.client if served.ecs else None
        reasons = served.reasons(question.name, question.type, sender, used)
        count = times if _is_drawn(reasons) else min(times, _FIXED_TIMES)
        ask = partial(_ours, snapshot, state, peer.source, question, request)
        ours = _Samples(ask(count, False))
        ours.retried = list(ask(ours.truncated, True))
        theirs = _Samples(_sample(reply, question) for reply in peer.ask(request, count))
        replies = peer.ask_over_tcp(request, theirs.truncated) if theirs.truncated else ()
        theirs.retried = [_sample(reply, question) for reply in replies]
        differences = tuple(_differences(ours, theirs, count, reasons, with_scope))
        yield Compared(str(question), count, len(theirs.first), differences)


def _ours(
    snapshot: Snapshot,
    state: ThreadState,
    source: str,
    question: Question,
    request: bytes,
    times: int,
    tcp: bool,
) -> Iterator[Sample]:
    """Our own answers."""
    for _ in range(times):
        _, reply = answer(snapshot, "dns", request, (source, 40000), state=state, tcp=tcp)
        if reply is not None:
            yield _sample(dns.message.from_wire(reply), question)


class _Samples:
    """The answers to one question: those over UDP, and what TCP has of those that had TC."""

    def __init__(self, first: Iterable[Sample]) -> None:
        self.first = list(first)
        self.retried: list[Sample] = []

    @property
    def truncated(self) -> int:
        """How many of those over UDP have TC."""
        return sum(sample.truncated for sample in self.first)

    @property
    def whole(self) -> list[Sample]:
        """Those that have their records."""
        return [s for s in (*self.first, *self.retried) if not s.truncated and s.rcode == "NOERROR"]


def _is_drawn(reasons: GeoReasons | None) -> bool:
    return reasons is not None and any(
        0 < record.chance < 1 for option in reasons.options for record in option.records
    )


def _sample(message: dns.message.Message, question: Question) -> Sample:
    rrsets = [rrset for rrset in message.answer if rrset.name == question.name]
    if not message.answer:
        # A delegation: its name servers.
        rrsets = [r for r in message.authority if r.rdtype == dns.rdatatype.NS]
    return Sample(
        rcode=dns.rcode.to_text(message.rcode()),
        truncated=bool(message.flags & dns.flags.TC),
        scope=scope_of(message),
        ttl=min((rrset.ttl for rrset in rrsets), default=None),
        records=frozenset(
            f"{dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
            for rrset in rrsets
            for rdata in rrset
        ),
    )


# -------------------------------------------------------------------------------------------------


def _differences(
    ours: _Samples,
    theirs: _Samples,
    asked: int,
    reasons: GeoReasons | None,
    with_scope: bool,
) -> Iterator[str]:
    here, there = ours.first, theirs.first
    if len(there) < asked:
        yield f"no answer to {asked - len(there)} of {asked} questions"
    if not there or not here:
        return
    rcodes = {s.rcode for s in here}
    yield from _unlike("rcode", rcodes, {s.rcode for s in there})
    if not rcodes & {s.rcode for s in there}:
        # All else follows from it.
        return
    yield from _unlike("truncated", {s.truncated for s in here}, {s.truncated for s in there})
    if missing := theirs.truncated - len(theirs.retried):
        yield f"no answer over TCP to {missing} of {theirs.truncated} questions with TC over UDP"
    if with_scope:
        yield from _unlike("scope", {s.scope for s in here}, {s.scope for s in there})
    if ours.whole and theirs.whole:
        yield from _unlike_records(ours.whole, theirs.whole, reasons)


def _unlike_records(
    ours: Sequence[Sample], whole: Sequence[Sample], reasons: GeoReasons | None
) -> Iterator[str]:
    """What differs in answers that have their records."""
    chance = _chances(ours, reasons)
    ttls, counts = {s.ttl for s in ours}, {len(s.records) for s in ours}
    if reasons is not None:
        # Rare ones may not have been drawn.
        ttls |= {option.ttl for option in reasons.options}
        counts |= {option.hosts for option in reasons.options}
    yield from _unlike("ttl", ttls, {s.ttl for s in whole})
    yield from _unlike("records in an answer", counts, {len(s.records) for s in whole})
    seen = Counter(record for s in whole for record in s.records)
    yield from _never(seen, chance, len(whole))
    if _is_drawn(reasons):
        spread = max(counts) if reasons and len(reasons.options) > 1 else 1
        yield from _too_often(seen, chance, len(whole), max(1, spread))


def _unlike(what: str, ours: Collection[object], theirs: Collection[object]) -> Iterator[str]:
    """Values of theirs that are none of ours."""
    if other := set(theirs) - set(ours):
        there, here = (", ".join(sorted(map(_value, each))) for each in (other, ours))
        yield f"{what}: {there} there, {here} here"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _chances(ours: Sequence[Sample], reasons: GeoReasons | None) -> dict[str, float]:
    """The chance that an answer of ours has each record."""
    found: dict[str, float] = {}
    if reasons is not None:
        for option in reasons.options:
            for record in option.records:
                text = f"{option.type} {record.data}"
                found[text] = found.get(text, 0.0) + record.chance
        found = {text: chance for text, chance in found.items() if chance}
    for sample in ours:
        for text in sample.records:
            # Of what is not explained, nothing is drawn.
            found.setdefault(text, 1.0)
    return found


def _never(seen: Counter[str], chance: dict[str, float], answers: int) -> Iterator[str]:
    """Records that cannot be in an answer here, or must be."""
    wrong = [f"{record} ({seen[record]} of {answers})" for record in seen if record not in chance]
    if wrong:
        yield f"records that are never answered here: {_listed(wrong)}"
    always = [
        f"{record} ({seen[record]} of {answers})"
        for record, each in chance.items()
        if each >= 1 - 1e-12 and seen[record] < answers
    ]
    if always:
        yield f"records that are in every answer here: {_listed(always)}"


def _too_often(
    seen: Counter[str], chance: dict[str, float], answers: int, spread: int
) -> Iterator[str]:
    found = deviation(seen, chance, answers, spread)
    if found is None or found.probability >= BEYOND_CHANCE:
        return

    def off(record: str) -> float:
        expected = chance[record] * answers
        return -((seen[record] - expected) ** 2) / expected

    worst = [
        f"{record} in {seen[record]} of {answers}, {chance[record] * answers:.1f} expected"
        for record in sorted((r for r in chance if 0 < chance[r] < 1), key=off)
    ]
    yield (
        f"frequencies: chi-square {found.statistic:.1f} with {found.freedom} degrees of freedom, "
        f"p = {found.probability:.1e}: {_listed(worst, '; ')}"
    )


def _listed(texts: Sequence[str], between: str = ", ") -> str:
    more = len(texts) - _SHOWN
    shown = between.join(escape(text) for text in texts[:_SHOWN])
    return f"{shown}{between}and {more} more" if more > 0 else shown
