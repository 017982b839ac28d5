"""What the steps of ``xdpkit demo`` have found, and where they print it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from xdpkit.lab.served import ServedLab


@dataclass
class Demo:
    """The facts so far, and where they are printed."""

    served: ServedLab
    console: Console
    facts: dict[str, Any] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def check(self, what: str, good: bool) -> None:
        """Prints a fact; one that does not hold fails the demo."""
        self.console.print(f"  [{'green' if good else 'red'}]{'ok' if good else 'NO':3}[/] {what}")
        if not good:
            self.failed.append(what)

    def title(self, text: str) -> None:
        """Prints the title of a step."""
        self.console.print(f"\n[bold]{text}[/]")
