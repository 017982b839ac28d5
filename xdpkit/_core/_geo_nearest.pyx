# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Which of a label's servers are nearest: what services/dns/geo/closest.py says, for thousands."""

from libc.math cimport asin, cos, sin, sqrt
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memset


cdef struct place:
    double latitude, longitude
    bint known


cdef struct far:
    double distance
    uint32_t number


cdef enum:
    # Degrees: farther than anything, as coordinates.py has it.
    UNKNOWN = 360

# As closest.py has it.
cdef double HARDLY = 1.05
cdef double RADIANS = 3.141592653589793 / 180
cdef double DEGREES = 180 / 3.141592653589793


cdef int compare_far(const void *left, const void *right) noexcept nogil:
    cdef const far *a = <const far *>left
    cdef const far *b = <const far *>right
    if a.distance != b.distance:
        return 1 if a.distance > b.distance else -1
    return (a.number > b.number) - (a.number < b.number)


cdef double distance(const place *one, const place *other) noexcept nogil:
    """As coordinates.py has it."""
    cdef double half, across, along
    if not one.known or not other.known:
        return UNKNOWN
    across = (other.longitude - one.longitude) * RADIANS
    along = sin((other.latitude * RADIANS - one.latitude * RADIANS) / 2)
    half = along * along
    across = sin(across / 2)
    half += cos(one.latitude * RADIANS) * cos(other.latitude * RADIANS) * (across * across)
    return DEGREES * 2 * asin(min(1.0, sqrt(half)))


cdef place place_of(object coordinates) except *:
    cdef place found
    memset(&found, 0, sizeof(found))
    if coordinates is not None:
        found.latitude, found.longitude = coordinates
        found.known = True
    return found


cdef class Places:
    """Where the servers of a label are: coordinates in degrees, or None."""

    cdef place *at
    cdef far *found
    cdef uint32_t count

    def __init__(self, list coordinates not None):
        cdef uint32_t i = 0
        if self.at is not NULL:
            raise ValueError("it has places")
        self.count = len(coordinates)
        self.at = <place *>calloc(self.count or 1, sizeof(place))
        self.found = <far *>calloc(self.count or 1, sizeof(far))
        if self.at is NULL or self.found is NULL:
            raise MemoryError
        for each in coordinates:
            self.at[i] = place_of(each)
            i += 1

    def __dealloc__(self):
        free(self.at)
        free(self.found)

    def nearest(self, client, uint32_t hosts):
        """The numbers, ascending, of those among which so many are drawn: see closest.py."""
        cdef place here = place_of(client)
        cdef uint32_t i, chosen = 0
        cdef double limit
        for i in range(self.count):
            self.found[i].number = i
            self.found[i].distance = distance(&here, &self.at[i])
        qsort(self.found, self.count, sizeof(far), compare_far)
        while chosen < min(hosts, self.count):
            limit = self.found[chosen].distance * HARDLY
            while chosen < self.count and self.found[chosen].distance <= limit:
                chosen += 1
        return sorted([self.found[i].number for i in range(chosen)])
