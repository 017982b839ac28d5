"""Benchmark plots as PNG and SVG, if matplotlib is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from xdpkit.bench import plots_ntp

FORMATS = ("png", "svg")


def available() -> bool:
    """Whether plots can be drawn."""
    return find_spec("matplotlib") is not None


def check(console: Console) -> None:
    """Says at the start what will be missing at the end."""
    if not available():
        console.print(
            "no plots, only JSON: matplotlib is missing (pip install 'xdpkit[bench]')",
            style="yellow",
            # rich would take the square brackets for markup.
            markup=False,
        )


def draw(facts: dict[str, Any], directory: Path) -> list[Path]:
    """Draws what the facts contain; returns the files written, none without matplotlib."""
    if not available():
        return []
    import matplotlib as mpl

    mpl.use("Agg")
    made: list[Path] = []
    for name, figure in _figures(facts).items():
        for suffix in FORMATS:
            path = directory / f"{name}.{suffix}"
            figure.savefig(path, dpi=120, bbox_inches="tight")
            made.append(path)
    return made


def _figures(facts: dict[str, Any]) -> dict[str, Any]:
    if "series" in facts:
        return {name: _lines(facts, name, series) for name, series in facts["series"].items()}
    if "cases" in facts:
        return {"offwire": _offwire(facts)}
    if "transmit_error" in facts:
        return {
            "transmit-error": plots_ntp.transmit_error(facts, _where(facts)),
            "ntp-rates": plots_ntp.rates(facts, _where(facts)),
        }
    if "zone_starts" in facts:
        count = f"{facts['zones']:,} zones"
        starts = facts | {"rows": facts["zone_starts"]}
        return {
            "zone-starts": _bars(starts, "first_s", f"s until {count} answer"),
            "zone-memory": _bars(starts, "resident_bytes", f"bytes resident with {count}"),
        }
    if "rows" not in facts:
        # Floods, reloads and locations: a few figures each, for which the tables are enough.
        return {}
    return {
        "answers": _bars(facts, "answers_per_s", "best answers per second"),
        "lossfree": _bars(facts, "lossfree_per_s", "answers per second with less than 0.1 % lost"),
        "cpu": _bars(
            facts, "cpu_us_per_answer", f"server CPU us per answer, {facts['load_per_s']:,}/s"
        ),
        "latency": _latency(facts),
    }


def _axes(facts: dict[str, Any], title: str, height: float = 4.0) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height))
    axes = figure.add_subplot()
    axes.set_title(f"{title}\n{_where(facts)}", fontsize=10)
    return figure, axes


def _where(facts: dict[str, Any]) -> str:
    return ", ".join(str(facts[key]) for key in ("driver", "mode", "kernel") if facts.get(key))


def _bars(facts: dict[str, Any], key: str, title: str) -> Any:
    rows = [row for row in reversed(facts["rows"]) if key in row]
    figure, axes = _axes(facts, title, 1.2 + 0.35 * len(rows))
    values = [row[key] for row in rows]
    below = [row[key] - row[f"{key}_min"] for row in rows]
    above = [row[f"{key}_max"] - row[key] for row in rows]
    colors = ["tab:blue" if row["server"].startswith("xdpkit") else "tab:gray" for row in rows]
    axes.barh([row["name"] for row in rows], values, xerr=[below, above], color=colors)
    axes.grid(axis="x", alpha=0.3)
    return figure


def _latency(facts: dict[str, Any]) -> Any:
    rows = [row for row in facts["rows"] if "p50_us" in row]
    figure, axes = _axes(facts, "latency at half of the best rate")
    names = [name for name in ("p50", "p90", "p99", "p99_9", "max") if rows]
    for row in rows:
        axes.plot(names, [row[f"{name}_us"] for name in names], marker="o", label=row["name"])
    axes.set_yscale("log")
    axes.set_ylabel("us")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure


def _lines(facts: dict[str, Any], name: str, series: dict[str, Any]) -> Any:
    """Answers per second against one variable: ``{label: [[x, median, min, max]]}``."""
    figure, axes = _axes(facts, f"echo answers per second against {series['what']}")
    for label, points in series["lines"].items():
        x, median, least, most = zip(*points, strict=True)
        axes.plot(x, median, marker="o", label=label)
        axes.fill_between(x, least, most, alpha=0.2)
    axes.set_xlabel(series["what"])
    axes.set_ylabel("answers/s")
    axes.set_ylim(bottom=0)
    if name == "windows":
        axes.set_xscale("log", base=2)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _offwire(facts: dict[str, Any]) -> Any:
    figure, axes = _axes(facts, "user-space time per answer, off the wire")
    for case in facts["cases"]:
        batches = sorted(case["ns_per_answer"], key=int)
        axes.plot(
            batches,
            [case["ns_per_answer"][batch]["best"] for batch in batches],
            marker="o",
            label=case["name"],
        )
    axes.set_xlabel("batch")
    axes.set_ylabel("ns per answer")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
