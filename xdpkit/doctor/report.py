"""What doctor says of one interface."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.doctor.finding import Finding
from xdpkit.doctor.probe import ProbeFacts


@dataclass(frozen=True)
class Report:
    """The findings about one interface; ``fine`` lists what is as it should be."""

    facts: ProbeFacts
    expected: str
    """The mode that a start would get."""
    findings: tuple[Finding, ...]
    fine: tuple[str, ...]

    @property
    def serves(self) -> bool:
        """Whether nothing prevents serving."""
        return not any(finding.severity == "blocks" for finding in self.findings)

    def of(self, severity: str) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]
