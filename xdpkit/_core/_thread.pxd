from xdpkit._core._snapshot cimport SharedSnapshot, qsbr_reader
from xdpkit._core._stats cimport stats

cdef extern from "runtime/thread.h" nogil:
    enum sandbox_kind:
        SANDBOX_RING
        SANDBOX_UDP
        SANDBOX_TCP
    cdef struct thread:
        int cpu
        int priority
        int tid
        char name[16]
        int wake_fd
        int sandbox_errno
    int thread_spawn(thread *t, void *(*entry)(void *) noexcept nogil, void *argument)
    void thread_begin(thread *t, sandbox_kind kind)
    enum:
        THREAD_RUN
        THREAD_STOP
        THREAD_PARK
    int thread_order(const thread *t)
    void thread_end(thread *t)
    void thread_send_order(thread *t, int order)
    int thread_done(const thread *t)
    int thread_try_join(const thread *t)


cdef class Thread:
    cdef thread *t
    cdef const stats *stats
    cdef SharedSnapshot lender
    cdef qsbr_reader *reader
    cdef bint running
    cdef bint killed
    cdef object _prepare(self, thread *t, const stats *s, int cpu)
    cdef qsbr_reader *_borrow(self, SharedSnapshot lender) except NULL
    cdef object _spawn(self, str name, void *(*entry)(void *) noexcept nogil, void *argument)
    cdef void _ended(self) noexcept
    cdef void _finish(self)
