from libc.stdint cimport uint8_t, uint64_t

from xdpkit._core._answer cimport request
from xdpkit._core._thread_state cimport Memory, batch_clock, departure, memory
from xdpkit._core._snapshot cimport Publisher, qsbr, qsbr_reader, snapshot
from xdpkit._core._stats cimport stats, verdict
from xdpkit._core._thread cimport Thread, thread

cdef extern from "slowpath/udp_listener.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    cdef struct msghdr:
        void *msg_control
        size_t msg_controllen
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned msg_len
    cdef struct door:
        stats stats
        qsbr *qsbr
        qsbr_reader *reader
        memory *memory
        batch_clock clock
        thread thread
        int epoll_fd
        mmsghdr message[0]
        iovec vector[0]
        request request[0]
        departure departure[0]
        departure *leaving[0]
        uint8_t outcome[0]
    enum:
        DOOR_BATCH
    uint64_t door_tag(int fd, uint8_t service)
    int door_tag_fd(uint64_t tag)
    void door_rearm(door *d, int first, int end)
    verdict door_request(door *d, int i, uint64_t tag)


cdef class KernelDoor(Thread):
    cdef door *c
    cdef readonly Publisher publisher
    cdef readonly Memory memory
    cdef dict sockets
