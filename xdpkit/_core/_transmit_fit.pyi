from collections.abc import Sequence

from typing_extensions import disjoint_base

@disjoint_base
class Prediction:
    def batch(self, pause_ns: int, delays: Sequence[int]) -> list[int]: ...
