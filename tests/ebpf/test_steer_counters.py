"""The XDP program's counters of all queues at once, against one look-up for each."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any, cast

import pytest
from steer_program import SteerProgram

from xdpkit._core import _bpf
from xdpkit._core._stats import QUEUES, VERDICT_END, VERDICT_FIRST, VERDICT_SLOTS
from xdpkit.dataplane.dataplane import DataPlane, possible_cpus

pytestmark = pytest.mark.netns

CPUS = possible_cpus()
SLOTS = QUEUES * VERDICT_SLOTS


@pytest.fixture
def counted(steer: SteerProgram) -> SteerProgram:
    """The program with counts in the first slots, one in the middle, and the last."""
    values = {0: 1, 1: 2, 7 * VERDICT_SLOTS + VERDICT_FIRST: 3, SLOTS - 1: 2**40}
    for slot, value in values.items():
        on_each_cpu = struct.pack(f"={CPUS}Q", *(value + cpu for cpu in range(CPUS)))
        _bpf.map_update(steer.maps["verdicts"], struct.pack("=I", slot), on_each_cpu)
    return steer


def single(steer: SteerProgram, slot: int) -> int:
    raw = _bpf.map_lookup(steer.maps["verdicts"], struct.pack("=I", slot), 8 * CPUS)
    return sum(struct.unpack(f"={CPUS}Q", raw))


# As much as there is, one element a call, and parts that do not divide the map.
@pytest.mark.parametrize("room", [4 << 20, 1, 8 * CPUS * 1000])
def test_all_slots_are_those_of_single_look_ups(counted: SteerProgram, room: int) -> None:
    wanted = [single(counted, slot) for slot in range(SLOTS)]
    assert sum(map(bool, wanted)) >= 4
    assert _bpf.percpu_sums(counted.maps["verdicts"], SLOTS, CPUS, room) == wanted


@pytest.mark.parametrize("count", [0, 1, VERDICT_SLOTS, SLOTS - 1])
def test_a_part_of_the_map(counted: SteerProgram, count: int) -> None:
    wanted = [single(counted, slot) for slot in range(count)]
    assert _bpf.percpu_sums(counted.maps["verdicts"], count, CPUS) == wanted


@pytest.mark.parametrize("room", [4 << 20, 8 * CPUS * 1000])
def test_it_ends_with_the_map(counted: SteerProgram, room: int) -> None:
    found = _bpf.percpu_sums(counted.maps["verdicts"], SLOTS + 5000, CPUS, room)
    assert found == [single(counted, slot) for slot in range(SLOTS)]


def test_no_map() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        _bpf.percpu_sums(-1, 1, CPUS)


@pytest.mark.parametrize("queues", [1, 8, 10 * QUEUES])
def test_the_counters_of_every_queue(counted: SteerProgram, queues: int) -> None:
    interface: Any = SimpleNamespace(rx_queues=queues)
    attached: Any = SimpleNamespace(program=counted)
    none = cast(Any, None)
    found = DataPlane(interface, attached, none, none, none).xdp_counters()
    assert list(found) == list(range(min(queues, QUEUES)))
    for queue, counts in found.items():
        first = queue * VERDICT_SLOTS + VERDICT_FIRST
        assert counts == [single(counted, first + verdict) for verdict in range(VERDICT_END)]
