"""What an interface and its driver are now, as far as a plan depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xdpkit.nic.os.ethtool import Channels
from xdpkit.nic.os.ethtool_features import Feature
from xdpkit.nic.os.ethtool_rxnfc import RuleTable
from xdpkit.nic.setup.setting import Value

NTUPLE = "rx-ntuple-filter"


@dataclass(frozen=True)
class Facts:
    """Read by ``Device.facts``; None is what the driver does not have."""

    name: str
    driver: str = ""
    channels: Channels | None = None
    most_channels: Channels | None = None
    rss: Value = None
    """As the setting: "default", or a queue for each slot."""
    features: Mapping[str, Feature] = field(default_factory=dict)
    rules: RuleTable | None = None
    """None also where they are to be had once ntuple is on."""
    napi: Mapping[str, int] = field(default_factory=dict)
    """Of ``setting.NAPI``, what this kernel has."""

    @property
    def has_ntuple(self) -> bool:
        """Whether the driver steers packets by rules, as it is or once told to."""
        feature = self.features.get(NTUPLE)
        return feature is not None and (feature.on or feature.changeable)
