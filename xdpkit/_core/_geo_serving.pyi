from typing_extensions import disjoint_base

from xdpkit._core._geo_selection import Selection
from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneServing

HEALTH_BYTES_MAX: int

def view_id(selection: Selection) -> bytes | None: ...

@disjoint_base
class GeoServing(ZoneServing):
    selection: Selection
    view: GeoView | None
    health: bytes
    def __init__(
        self, selection: Selection, view: GeoView | None, health: bytes = b"\x02{}"
    ) -> None: ...
