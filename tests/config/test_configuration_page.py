"""docs/configuration.md is what the declarations of the keys say."""

from __future__ import annotations

import runpy

from checkout import CHECKOUT

from xdpkit.config.load import SECTIONS
from xdpkit.config.schema import settings

WRITE = "tools/dev python tools/configuration_page.py"
PAGE = CHECKOUT / "docs/configuration.md"


def test_the_page_is_what_the_generator_writes() -> None:
    written = runpy.run_path(str(CHECKOUT / "tools/configuration_page.py"))["page"]()
    assert PAGE.read_text() == written, f"docs/configuration.md is stale: run {WRITE}"


def test_every_key_is_on_the_page() -> None:
    lines = PAGE.read_text().splitlines()
    for name, kind in SECTIONS.items():
        own = lines[lines.index(f"## [{name}]") :]
        for key, setting in settings(kind).items():
            shown = f"## [{name}.{key}]" if setting.table else f"| `{key}` |"
            assert any(line.startswith(shown) for line in own)


def test_every_key_says_what_it_does() -> None:
    for kind in SECTIONS.values():
        for setting in settings(kind).values():
            assert setting.doc.endswith(".") and setting.accepts
