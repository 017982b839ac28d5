"""Lines of the log that others cause: some at once, then one at a time, for good."""

from __future__ import annotations

from xdpkit.runtime.log_budget import LogBudget


def test_some_at_once_then_one_at_a_time() -> None:
    now = [1000.0]
    budget = LogBudget(3, 10.0, lambda: now[0])
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]
    taken = 0
    for _ in range(1000):
        now[0] += 0.1
        taken += budget.take()
    assert taken in (9, 10)
    now[0] += 1e6
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]
