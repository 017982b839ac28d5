# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""What a GeoDNS zone is served with (``geo/serving.h``): its view, and a selection of its arena."""

from xdpkit._core._geo_selection cimport Selection, geo_selection, geo_zone_of
from xdpkit._core._geo_view cimport GeoView, geo_view
from xdpkit._core._zones cimport ZoneServing, geo_serving

cdef extern from "geo/serving.h" nogil:
    enum:
        GEO_VIEW_ID_BYTES
    struct serving "geo_serving":
        const geo_view *view
        const geo_selection *selection
        const unsigned char *health
        unsigned int health_bytes
    struct zone_view "geo_zone":
        const unsigned char *view
        unsigned int classes


# An RDLENGTH has 16 bits.
HEALTH_BYTES_MAX = 0xffff


def view_id(Selection selection not None):
    """The id of the view that the choices of its arena are of; None if they depend on no client."""
    cdef const zone_view *zone = <const zone_view *>geo_zone_of(selection.arena.c)
    if not zone.classes:
        return None
    return <bytes>zone.view[:GEO_VIEW_ID_BYTES]


cdef class GeoServing(ZoneServing):
    """A selection, and the view of its arena, None if that has no classes.

    ``health`` is what ``_health`` answers, RDATA of TXT. Keeps all alive. Raises ValueError for
    another view than the arena's.
    """
    cdef serving own
    cdef readonly Selection selection
    cdef readonly GeoView view
    cdef readonly bytes health

    def __init__(self, Selection selection not None, GeoView view,
                 bytes health not None=b"\x02{}"):
        cdef const zone_view *zone = <const zone_view *>geo_zone_of(selection.arena.c)
        if zone.classes and (view is None or view.id != view_id(selection)):
            raise ValueError("the view is not that of the zone arena")
        self.selection, self.view, self.arena = selection, view, selection.arena
        if not 0 < len(health) <= HEALTH_BYTES_MAX:
            raise ValueError(f"{len(health)} bytes that say how healthy the servers are")
        self.health = health
        self.own.health = <const unsigned char *><const char *>health
        self.own.health_bytes = len(health)
        self.own.selection = selection.c
        self.own.view = view.c if view is not None and zone.classes else NULL
        self.c = <const geo_serving *>&self.own
