"""Aliases that lead to aliases: circles of them, and rows that are too long.

Which aliases there are depends on the client, and a circle that no client can walk is none: of
``a`` to ``b`` for clients in ``us``, and back again for those in ``de``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xdpkit.config.toml_document import quoted
from xdpkit.services.dns.geo.continents import CONTINENTS, REGION_GROUPS
from xdpkit.services.dns.geo.json_place import JsonPath
from xdpkit.services.dns.geo.json_text import Report
from xdpkit.services.dns.geo.model import Label
from xdpkit.services.dns.geo.targets import ANYWHERE, Targeting, split_target, target_kind

# As many as CNAMEs are followed in a row.
ALIASES_DEEP = 16

# Looking at so many aliases takes a second or two.
_STEPS_MAX = 5_000_000


@dataclass(frozen=True, slots=True)
class Edge:
    """From a name to the label that an alias names, for clients of one target."""

    name: str
    to: str
    target: str
    place: JsonPath


Graph = Mapping[str, Sequence[Edge]]


def check_aliases(report: Report, labels: Mapping[str, Label], targeting: Targeting) -> None:
    """Reports a circle that a client can get into, or too many aliases in a row."""
    graph = _graph(labels, targeting)
    for allowed in _ways(graph):
        circle, rows = _walk(graph, allowed)
        if circle:
            names = (*(edge.name for edge in circle), circle[-1].to)
            way = " -> ".join(quoted(name) for name in names)
            reason = f"aliases that lead in a circle: {way}: point one of them elsewhere"
            report.wrong(circle[0].place, reason)
            return
        longest = max(rows, key=rows.__getitem__, default="")
        if rows and (row := rows[longest]) > ALIASES_DEEP:
            reason = f"{row} aliases in a row, at most {ALIASES_DEEP}: point them at the last label"
            report.wrong(graph[longest][0].place, reason)
            return


def _ways(graph: Graph) -> Iterable[frozenset[str] | None]:
    """The clients whose aliases are looked at: everybody at once, where that shows no circle."""
    if not _walk(graph, None)[0]:
        return (None,)
    clients = list(_clients(graph))
    # Refused for what may be nobody's circle, rather than looked at for hours.
    return clients if len(clients) * sum(map(len, graph.values())) <= _STEPS_MAX else (None,)


def _graph(labels: Mapping[str, Label], targeting: Targeting) -> Graph:
    graph: dict[str, list[Edge]] = {}
    for key, label in labels.items():
        split = split_target(key, targeting)
        for to in label.aliases:
            place = (*label.place, "alias")
            for name, target in ((key, ANYWHERE), *([split] if split else [])):
                graph.setdefault(name, []).append(Edge(name, to.key, target, place))
    return graph


def _clients(graph: Graph) -> Iterator[frozenset[str]]:
    """The sets of targets that one client may have, of those that the aliases are for.

    Addresses and AS numbers count as everybody's.
    """
    words = {edge.target for edges in graph.values() for edge in edges}
    local = {word for word in words if target_kind(word) in _LOCAL}
    everywhere = words - local | {ANYWHERE}
    yield frozenset(everywhere)
    for word in local:
        country = word if word in CONTINENTS else word[:2]
        kind = target_kind(word)
        found = {word, REGION_GROUPS.get(word, "")}
        if kind is not Targeting.CONTINENT:
            found |= {country, CONTINENTS.get(country, "")}
        yield frozenset(everywhere | found)


_LOCAL = (Targeting.REGION, Targeting.REGIONGROUP, Targeting.COUNTRY, Targeting.CONTINENT)


def _walk(graph: Graph, allowed: frozenset[str] | None) -> tuple[list[Edge], dict[str, int]]:
    """A circle, or no edge; and how many aliases in a row begin at a name, if there is none."""
    rows: dict[str, int] = {}
    for root in graph:
        if root in rows:
            continue
        path: list[Edge] = []
        open_names = {root: 0}
        stack = [(root, _edges(graph, root, allowed))]
        while stack:
            name, ahead = stack[-1]
            edge = next((each for each in ahead if each.to not in rows), None)
            if edge is None:
                ends = (rows[each.to] + 1 for each in _edges(graph, name, allowed))
                rows[name] = max(ends, default=0)
                stack.pop()
                del open_names[name]
                del path[-1:]
            elif edge.to in open_names:
                return [*path[open_names[edge.to] :], edge], rows
            else:
                path.append(edge)
                open_names[edge.to] = len(stack)
                stack.append((edge.to, _edges(graph, edge.to, allowed)))
    return [], rows


def _edges(graph: Graph, name: str, allowed: frozenset[str] | None) -> Iterator[Edge]:
    edges = graph.get(name, ())
    return (edge for edge in edges if allowed is None or edge.target in allowed)
