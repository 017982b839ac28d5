cdef extern from "thread.h" nogil:
    cdef struct thread:
        int cpu
        int tid
        char name[16]
        int wake_fd
    int thread_spawn(thread *t, void *(*entry)(void *) noexcept nogil, void *argument)
    void thread_settle(thread *t)
    enum:
        THREAD_RUN
        THREAD_STOP
        THREAD_PARK
    int thread_order(const thread *t)
    void thread_end(thread *t)
    void thread_ask(thread *t, int order)
    int thread_done(const thread *t)


cdef class Thread:
    cdef thread *t
    cdef bint running
    cdef object _prepare(self, thread *t, int cpu)
    cdef object _spawn(self, str name, void *(*entry)(void *) noexcept nogil, void *argument)
    cdef void _finish(self)
