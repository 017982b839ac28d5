"""The current state of an interface and its driver, as far as a plan depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xdpkit.nic.os.ethtool import Channels
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rxnfc import RuleTable
from xdpkit.nic.setup.setting import Value

NTUPLE = "rx-ntuple-filter"


@dataclass(frozen=True)
class NicFacts:
    """Read by ``Device.facts``; None where the driver does not support something."""

    name: str
    driver: str = ""
    channels: Channels | None = None
    most_channels: Channels | None = None
    rss: Value = None
    """In the form of the setting: "default", or a queue for each slot."""
    features: Mapping[str, Feature] = field(default_factory=dict)
    rules: RuleTable | None = None
    """None also where they are available only once ntuple is on."""
    napi: Mapping[str, int] = field(default_factory=dict)
    """Those of ``setting.NAPI`` that this kernel has."""

    @property
    def has_ntuple(self) -> bool:
        """Whether the driver steers packets by rules, now or once ntuple is turned on."""
        feature = self.features.get(NTUPLE)
        return feature is not None and (feature.on or feature.changeable)
