"""Which records ``closest`` leaves to be drawn: the reference for everything faster."""

from __future__ import annotations

from collections.abc import Sequence

# Whatever is hardly farther than the nearest counts as near: servers of one site, for example.
_HARDLY = 1.05


def closest(distances: Sequence[float], hosts: int) -> list[int]:
    """The indexes of the records, in their order, among which ``hosts`` are then drawn by weight.

    The nearest, with all that are hardly farther; then the nearest of what is left, and so on,
    until they are enough.
    """
    order = sorted(range(len(distances)), key=distances.__getitem__)
    chosen = 0
    while chosen < min(hosts, len(order)):
        limit = distances[order[chosen]] * _HARDLY
        while chosen < len(order) and distances[order[chosen]] <= limit:
            chosen += 1
    return sorted(order[:chosen])
