cdef extern from "thread.h" nogil:
    cdef struct thread:
        int cpu
        int tid
        char name[16]
        int wake_fd
    int thread_spawn(thread *t, void *(*entry)(void *) noexcept nogil, void *argument)
    void thread_settle(thread *t)
    int thread_stopping(const thread *t)
    void thread_end(thread *t)
    void thread_stop(thread *t)
    int thread_done(const thread *t)


cdef class Thread:
    cdef thread *t
    cdef bint running
    cdef object _prepare(self, thread *t, int cpu)
    cdef object _spawn(self, str name, void *(*entry)(void *) noexcept nogil, void *argument)
    cdef void _finish(self)
