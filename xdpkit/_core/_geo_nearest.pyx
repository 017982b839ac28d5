# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""Which of a label's servers are nearest: what services/dns/geo/closest.py says, for thousands."""

from libc.math cimport acos, asin, cos, sin, sqrt
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memset


cdef struct place:
    double latitude, longitude
    bint known
    # On a sphere of radius 1.
    double x, y, z


cdef struct far:
    double distance
    uint32_t number


cdef enum:
    # Degrees: farther than anything, as coordinates.py has it.
    UNKNOWN = 360

    # With more hosts, and for a client nowhere, all distances are sorted.
    FEW = 64

# Degrees by which a distance may be off that is computed from x, y, z, and much more.
cdef double OFF = 1e-4

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
        found.x = cos(found.latitude * RADIANS) * cos(found.longitude * RADIANS)
        found.y = cos(found.latitude * RADIANS) * sin(found.longitude * RADIANS)
        found.z = sin(found.latitude * RADIANS)
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

    cdef double _cosine(self, const place *here, uint32_t i) noexcept nogil:
        """Of the distance; -2 for what is nowhere."""
        cdef const place *at = &self.at[i]
        return here.x * at.x + here.y * at.y + here.z * at.z if at.known else -2

    cdef uint32_t _near(self, const place *here, uint32_t hosts) noexcept nogil:
        """Finds, with their exact distances, all that may be among the nearest."""
        cdef double best[FEW]
        cdef double each, least = -2
        cdef uint32_t i, to, count = 0, have = 0
        if here.known and hosts <= FEW:
            for i in range(self.count):
                each = self._cosine(here, i)
                if have == hosts and each <= best[have - 1]:
                    continue
                to = have if have < hosts else have - 1
                while to and best[to - 1] < each:
                    best[to] = best[to - 1]
                    to -= 1
                best[to] = each
                have += have < hosts
            # The farthest one that is taken is hardly farther than the last of so many.
            least = best[have - 1] if have == hosts else -2
            if least >= -1:
                each = acos(min(1.0, least)) * DEGREES * HARDLY + OFF
                least = cos(each * RADIANS) if each < 180 else -1
        for i in range(self.count):
            if least < -1 or self._cosine(here, i) >= least:
                self.found[count].number = i
                self.found[count].distance = distance(here, &self.at[i])
                count += 1
        return count

    def nearest(self, client, uint32_t hosts):
        """The numbers, ascending, of those among which so many are drawn: see closest.py."""
        cdef place here = place_of(client)
        cdef uint32_t i, chosen = 0
        cdef uint32_t count = self._near(&here, hosts)
        cdef double limit
        qsort(self.found, count, sizeof(far), compare_far)
        while chosen < min(hosts, count):
            limit = self.found[chosen].distance * HARDLY
            while chosen < count and self.found[chosen].distance <= limit:
                chosen += 1
        return sorted([self.found[i].number for i in range(chosen)])
