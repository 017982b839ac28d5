from libc.stdint cimport uint64_t

from xdpkit._core._requests cimport Requests
from xdpkit._core._xsk cimport XskSocket


cdef class Generator(Requests):
    cdef readonly XskSocket socket
    cdef uint64_t paced_ns
    cdef uint64_t paced
