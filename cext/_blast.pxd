from libc.stdint cimport uint64_t

from xdpkit.cext._requests cimport Requests
from xdpkit.cext._xsk cimport XskSocket


cdef class Generator(Requests):
    cdef readonly XskSocket socket
    cdef uint64_t paced_ns
    cdef uint64_t paced
