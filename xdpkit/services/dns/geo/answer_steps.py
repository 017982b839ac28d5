"""What a zone's answers are drawn from, each thing once: what an arena has of ``geo/choice.h``.

Everything is a number here, so that equal things have equal numbers: of draws, images, steps and
variants. A variant is a tuple of steps while it is looked for; only those that a choice leads to
become entries of ``variants``.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from xdpkit._core._geo_tables import GEO_ALL, GEO_DRAW, GEO_IMAGES, GEO_VARIANTS
from xdpkit._core._rrset import RRset
from xdpkit.services.dns.geo.model import ALWAYS_DRAWN, GeoRecord
from xdpkit.services.dns.zonefile.zone import CNAME

Thing = TypeVar("Thing", bound=Hashable)

Variant = tuple[int, ...]
"""Steps, in their order."""

NOTHING: Variant = ()
"""No records."""

# What precedes RDATA: a pointer to the question's name, type, class IN, TTL, length.
_FIXED = struct.Struct("!HHHIH")
_QUESTION, _IN = 0xC00C, 1

# A struct geo_variant with a struct geo_step, and a struct geo_option.
_VARIANT_BYTES, _OPTION_BYTES = 24, 16


# Bytes of draws and choices: as much as a pool takes, a hundred times.
SIZE_MAX = 256 << 20


class StepsTooLarge(Exception):
    """A zone's draws and choices take too much memory."""


class Draw(NamedTuple):
    """struct geo_draw, with its arrays; empty ones are absent."""

    rdtype: int
    hosts: int
    total: int
    size: int
    records: bytes
    ends: bytes
    weights: bytes
    statuses: bytes


class Option(NamedTuple):
    """struct geo_option; ``to`` is the number of an image or a variant."""

    weight: int
    status: int
    to: int


class Step(NamedTuple):
    """struct geo_step: a draw's number, or options."""

    kind: int
    draw: int = 0
    options: tuple[Option, ...] = ()


class Choice(NamedTuple):
    """struct geo_choice; ``table`` is empty with one variant."""

    first: int
    variants: int
    table: bytes


class Numbers(Generic[Thing]):
    """Numbers things as they come, equal ones alike."""

    def __init__(self) -> None:
        self.list: list[Thing] = []
        self._number: dict[Thing, int] = {}

    def of(self, thing: Thing) -> int:
        """The number of one."""
        number = self._number.setdefault(thing, len(self.list))
        if number == len(self.list):
            self.list.append(thing)
        return number


class AnswerSteps:
    """All draws, images, steps, variants and choices of one zone.

    ``size`` is what the largest of them take, in bytes.
    """

    def __init__(self, path: str, classes: int) -> None:
        self.path, self._classes = path, classes
        self.statuses = Numbers[str]()
        self.draws = Numbers[Draw]()
        self.steps = Numbers[Step]()
        self.images: list[RRset] = []
        self.variants: list[Variant] = []
        self.choices = Numbers[Choice]()
        self.size = 0
        self._sure: list[bool] = []
        self._image: dict[tuple[int, int, tuple[bytes, ...]], int] = {}
        self._first: dict[tuple[Variant, ...], int] = {}

    # ---------------------------------------------------------------------------------------------

    def records(self, rdtype: int, ttl: int, records: Sequence[GeoRecord], hosts: int) -> Variant:
        """The step that answers some of the records of one label and type; none if it has none."""
        if not records:
            return ()
        if rdtype == CNAME:
            options = tuple(
                Option(
                    each.weight if len(records) > 1 else 0,
                    self._status(each),
                    self.image(rdtype, ttl, (each.rdata,)),
                )
                for each in records
            )
            return (self._step(Step(GEO_IMAGES, options=options), _any_sure(records)),)
        weighted = any(each.weight for each in records)
        always_all = not weighted and rdtype not in ALWAYS_DRAWN
        few = len(records) == 1 or always_all or (not weighted and len(records) <= hosts)
        if few and not any(each.health for each in records):
            image = self.image(rdtype, ttl, tuple([each.rdata for each in records]))
            return (self._step(Step(GEO_IMAGES, options=(Option(0, 0, image),)), True),)
        most = GEO_ALL if always_all else min(hosts, len(records))
        draw = self._draw(rdtype, ttl, records, most, weighted)
        return (self._step(Step(GEO_DRAW, draw), _any_sure(records)),)

    def one_of(self, options: Sequence[tuple[int, Variant]]) -> Variant:
        """The step that answers one of several variants, by weight; none has no steps."""
        if len(options) == 1 and len(options[0][1]) == 1:
            return options[0][1]
        found = tuple(Option(weight, 0, self._place((variant,))) for weight, variant in options)
        sure = any(self.is_sure(variant) for _, variant in options)
        return (self._step(Step(GEO_VARIANTS, options=found), sure),) if found else ()

    def is_sure(self, variant: Variant) -> bool:
        """Whether a variant yields records whatever the statuses are."""
        return any(self._sure[step] for step in variant)

    def rrset_of(self, variant: Variant) -> RRset | None:
        """The RRset that a variant always is; None if it is anything else."""
        step = self.steps.list[variant[0]] if len(variant) == 1 else None
        if step is None or step.kind != GEO_IMAGES or len(step.options) > 1:
            return None
        return None if step.options[0].status else self.images[step.options[0].to]

    def choice(self, variants: Sequence[Variant], of_class: Mapping[int, int]) -> int:
        """The number of the choice among variants; ``of_class`` has a class's index of them, which
        is 0 for all others.
        """
        distinct = Numbers[Variant]()
        index = [distinct.of(variant) for variant in variants]
        found = tuple(distinct.list)
        table = b""
        if len(found) > 1:
            # The first variant has number 0 among the distinct ones, too.
            numbers = array("H", bytes(2 * self._classes))
            for each, at in of_class.items():
                numbers[each] = index[at]
            table = numbers.tobytes()
        before = len(self.choices.list)
        number = self.choices.of(Choice(self._place(found), len(found), table))
        if number == before:
            self._grow(len(table))
        return number

    def image(self, rdtype: int, ttl: int, rdatas: tuple[bytes, ...]) -> int:
        """The number of the image of an RRset."""
        key = (rdtype, ttl, rdatas)
        number = self._image.setdefault(key, len(self.images))
        if number == len(self.images):
            self.images.append(RRset(rdtype, 0, ttl, self.path, 0, list(rdatas)))
        return number

    # ---------------------------------------------------------------------------------------------

    def _place(self, variants: tuple[Variant, ...]) -> int:
        """Where variants are that follow each other."""
        first = self._first.get(variants)
        if first is None:
            first = self._first[variants] = len(self.variants)
            for number, variant in enumerate(variants, first):
                self._first.setdefault((variant,), number)
            self.variants += variants
            self._grow(_VARIANT_BYTES * len(variants))
        return first

    def _step(self, step: Step, sure: bool) -> int:
        number = self.steps.of(step)
        if number == len(self._sure):
            self._sure.append(sure)
            self._grow(_OPTION_BYTES * len(step.options))
        return number

    def _status(self, record: GeoRecord) -> int:
        return 1 + self.statuses.of(record.health) if record.health else 0

    def _draw(
        self, rdtype: int, ttl: int, records: Sequence[GeoRecord], hosts: int, weighted: bool
    ) -> int:
        sizes = {len(each.rdata) for each in records}
        if len(sizes) == 1:
            size = _FIXED.size + sizes.pop()
            head = _head(rdtype, ttl, size - _FIXED.size)
            # As in "head".join, which writes it between them.
            blob = head + head.join([each.rdata for each in records])
            ends = b""
        else:
            size = 0
            blobs = [_head(rdtype, ttl, len(each.rdata)) + each.rdata for each in records]
            blob, ends = b"".join(blobs), _u32(_sums(map(len, blobs)))
        statuses = b""
        if any(each.health for each in records):
            statuses = _u32(map(self._status, records))
        weights = _u32([each.weight for each in records]) if weighted else b""
        before = len(self.draws.list)
        number = self.draws.of(
            Draw(rdtype, hosts, len(records), size, blob, ends, weights, statuses)
        )
        if number == before:
            self._grow(len(blob) + len(ends) + len(weights) + len(statuses))
        return number

    def _grow(self, size: int) -> None:
        self.size += size
        if self.size > SIZE_MAX:
            raise StepsTooLarge(
                f"up to here, what clients of different places get takes {self.size >> 20} MiB, at"
                f" most {SIZE_MAX >> 20}: use fewer targets, or closest with fewer names"
            )


def _any_sure(records: Sequence[GeoRecord]) -> bool:
    return not all(each.health for each in records)


def _head(rdtype: int, ttl: int, length: int) -> bytes:
    return _FIXED.pack(_QUESTION, rdtype, _IN, ttl, length)


def _u32(values: Iterable[int]) -> bytes:
    return array("I", values).tobytes()


def _sums(sizes: Iterable[int]) -> Iterable[int]:
    end = 0
    for size in sizes:
        end += size
        yield end
