# cython: language_level=3, embedsignature=True
# SPDX-License-Identifier: Apache-2.0
"""This machine's clock: its precision, and what the kernel says about its discipline."""

from cpython.exc cimport PyErr_SetFromErrno
from libc.string cimport memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

cdef extern from "<sys/timex.h>" nogil:
    cdef struct timex:
        unsigned int modes
        int status
        long maxerror
    int kernel_adjtimex "adjtimex"(timex *buffer)


def adjtimex():
    """Reads adjtimex(2) and changes nothing: (time state, status bits, maximum error in us).

    The time state is TIME_OK to TIME_ERROR, the bits are STA_*, both of linux/timex.h. Raises
    OSError where a system call filter forbids the call.
    """
    cdef timex t
    cdef int state
    # Modes 0: nothing is set.
    memset(&t, 0, sizeof(timex))
    state = kernel_adjtimex(&t)
    if state < 0:
        PyErr_SetFromErrno(OSError)
    return state, t.status, t.maxerror


cdef unsigned long long now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_REALTIME, &t)
    return <unsigned long long>t.tv_sec * 1000000000 + <unsigned long long>t.tv_nsec


def clock_precision():
    """Measures the precision of CLOCK_REALTIME as log2 seconds (RFC 5905 section 7.3, "precision").

    The smallest step between two reads that differ, over enough reads that some are undisturbed.
    """
    cdef unsigned long long last = now_ns(), step = 1000000000, now
    for _ in range(10000):
        now = now_ns()
        if last < now < last + step:
            step = now - last
        last = now
    # log2 of nanoseconds rounded up, less log2 of 1e9 (29.9).
    return (<object>step - 1).bit_length() - 30
