"""Which room may import from which: a room knows only those before it in this list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import CHECKOUT

ROOMS = (
    "escape",
    "errors",
    "_core",
    "reach",
    "regular_file",
    "config",
    "runtime",
    "control",
    "nic.fact",
    "nic.os",
    "nic.setup",
    "bpf",
    "services.prefix_map",
    "services.access_list",
    "services.base",
    "services.ntp",
    "services.dns.zonefile",
    "services.dns.geo",
    "services.dns.compiler",
    "services.dns.serving",
    "services.echo",
    "services.table",
    "dataplane",
    "slowpath",
    "capture",
    "status",
    "metrics",
    "instance",
    "doctor",
    "services.dns.query",
    "loadgen",
    "lab",
    "bench",
    "demo",
    "cli",
    "__main__",
)
PACKAGE = CHECKOUT / "xdpkit"
MODULES = {
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def room_of(module: str) -> str:
    """The longest name in ROOMS that the module lies in; empty for a folder that holds rooms."""
    inside = module.removeprefix("xdpkit").lstrip(".")
    return max((r for r in ROOMS if f"{inside}.".startswith(f"{r}.")), key=len, default="")


def imports(path: Path, types: bool = False) -> Iterator[str]:
    """The modules of ours that a file imports when it runs, wherever in it.

    With ``types`` also what only its annotations need.
    """
    tree = ast.parse(path.read_text())
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not types:
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("xdpkit"):
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in MODULES else str(node.module)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_knows_only_those_before_it(module: str) -> None:
    mine = room_of(module)
    for other in imports(MODULES[module]):
        room = room_of(other)
        if room and room != mine:
            assert ROOMS.index(room) < ROOMS.index(mine), f"{module} imports {other}"


def test_no_circle_of_files() -> None:
    known = {module: set(imports(path, types=True)) for module, path in MODULES.items()}
    # Takes away whatever imports nothing that is left: a circle stays.
    while leaves := {module for module, needs in known.items() if not needs & known.keys()}:
        for module in leaves:
            del known[module]
    assert not known
