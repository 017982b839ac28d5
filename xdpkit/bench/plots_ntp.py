"""The plots of ``bench --ntp``; ``plots.py`` calls them if matplotlib is installed."""

from __future__ import annotations

from typing import Any

# Linear around zero, logarithmic beyond this many nanoseconds.
LINEAR_NS = 200
# The few errors outside this range are frames that waited for a CPU.
SHOWN_NS = (-20_000, 200_000)
COLORS = {"off": "tab:orange", "on": "tab:blue"}
STYLES = {"idle": "-", "garbage": "--"}


def transmit_error(facts: dict[str, Any], where: str) -> Any:
    """The distributions superimposed, one panel per load."""
    from matplotlib.figure import Figure

    rows = [row for row in facts["transmit_error"] if row["histogram"]]
    loads = list(dict.fromkeys(row["load"] for row in rows))
    figure = Figure(figsize=(4.0 * max(len(loads), 1), 4.0))
    for number, load in enumerate(loads):
        axes = figure.add_subplot(1, len(loads), number + 1)
        for row in rows:
            if row["load"] != load:
                continue
            axes.plot(
                *cumulative(row["histogram"]),
                COLORS[row["compensation"]],
                linestyle=STYLES[row["control_plane"]],
                label=f"compensation {row['compensation']}, control plane {row['control_plane']}",
            )
        axes.set_xscale("symlog", linthresh=LINEAR_NS)
        axes.set_xlim(*SHOWN_NS)
        axes.set_xlabel("true transmit time less timestamp, ns")
        axes.set_title(load, fontsize=9)
        axes.grid(alpha=0.3)
        if number == 0:
            axes.set_ylabel("share of replies")
            axes.legend(fontsize=6)
    figure.suptitle(f"transmit error of NTP replies\n{where}", fontsize=10)
    figure.tight_layout()
    return figure


def cumulative(histogram: dict[str, int]) -> tuple[list[int], list[float]]:
    """The buckets and the cumulative share of each."""
    total, seen = sum(histogram.values()), 0
    shares = []
    for count in histogram.values():
        seen += count
        shares.append(seen / total)
    return [int(bucket) for bucket in histogram], shares


def rates(facts: dict[str, Any], where: str) -> Any:
    """Answers per second as a share of plain NTP's in the same round."""
    from matplotlib.figure import Figure

    rows = list(reversed(facts["rates"]))
    figure = Figure(figsize=(8.0, 1.2 + 0.35 * len(rows)))
    axes = figure.add_subplot()
    values = [row["ratio_to_plain"] for row in rows]
    below = [row["ratio_to_plain"] - row["ratio_to_plain_min"] for row in rows]
    above = [row["ratio_to_plain_max"] - row["ratio_to_plain"] for row in rows]
    axes.barh([row["name"] for row in rows], values, xerr=[below, above], color="tab:blue")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(
        f"NTP answers per second, relative to plain NTP in the same round\n{where}", fontsize=10
    )
    return figure
