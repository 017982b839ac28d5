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
    struct zone_view "geo_zone":
        const unsigned char *view
        unsigned int classes


def view_id(Selection selection not None):
    """The id of the view that the choices of its arena are of; None if they depend on no client."""
    cdef const zone_view *zone = <const zone_view *>geo_zone_of(selection.arena.c)
    if not zone.classes:
        return None
    return <bytes>zone.view[:GEO_VIEW_ID_BYTES]


cdef class GeoServing(ZoneServing):
    """A selection, and the view of its arena, None if that has no classes.

    Keeps both alive. Raises ValueError for another view than the arena's.
    """
    cdef serving own
    cdef readonly Selection selection
    cdef readonly GeoView view

    def __init__(self, Selection selection not None, GeoView view):
        cdef const zone_view *zone = <const zone_view *>geo_zone_of(selection.arena.c)
        if zone.classes and (view is None or view.id != view_id(selection)):
            raise ValueError("the view is not that of the zone arena")
        self.selection, self.view, self.arena = selection, view, selection.arena
        self.own.selection = selection.c
        self.own.view = view.c if view is not None and zone.classes else NULL
        self.c = <const geo_serving *>&self.own
