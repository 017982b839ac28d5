/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads unknown to Python: no GIL, no signals, a name for top(1), optionally pinned to a CPU; no
 * capabilities, and only the system calls of their loop (runtime/sandbox.h).
 */
#ifndef XDPKIT_THREAD_H
#define XDPKIT_THREAD_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.h"

struct thread {
	pthread_t id;
	int cpu;              /* to pin it to; -1 = any */
	int priority;         /* 1 to 99 under SCHED_FIFO; 0 = default policy */
	int tid;              /* as in /proc/PID/task; set by the thread */
	char name[16];        /* 15 characters at most: pthread_setname_np(3) */
	int wake_fd;          /* eventfd, readable once the thread must end */
	int sandbox_errno;    /* 0, or why it has no sandbox; -1 before it runs */
	uint32_t order, done; /* atomic: enum thread_order; boolean, it has ended */
};

/* The orders to a thread. */
enum thread_order {
	THREAD_RUN,
	THREAD_STOP, /* finish pending work, then end */
	THREAD_PARK, /* end after this turn: somebody else takes over pending work */
};

/* Starts `entry(argument)` with every signal blocked; returns 0 or an errno. */
static inline int thread_spawn(struct thread *thread, void *(*entry)(void *), void *argument)
{
	struct sched_param parameters = {.sched_priority = thread->priority};
	sigset_t all, before;
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	if (thread->priority) {
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
		pthread_attr_setschedparam(&attributes, &parameters);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread->id, &attributes, entry, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

/* First call in the new thread. A CPU it may not use is not an error: it is then not pinned. */
static inline void thread_begin(struct thread *thread, enum sandbox_kind kind)
{
	cpu_set_t set;

	__atomic_store_n(&thread->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	pthread_setname_np(pthread_self(), thread->name);
	if (thread->cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(thread->cpu, &set);
		pthread_setaffinity_np(pthread_self(), sizeof set, &set);
	}
	thread->sandbox_errno = sandbox_enter(kind);
}

static inline enum thread_order thread_order(const struct thread *thread)
{
	return (enum thread_order)__atomic_load_n(&thread->order, __ATOMIC_ACQUIRE);
}

/* Last call in the thread. */
static inline void thread_end(struct thread *thread)
{
	__atomic_store_n(&thread->done, 1, __ATOMIC_RELEASE);
}

/* Tells it to end, one way or the other, from another thread. */
static inline void thread_send_order(struct thread *thread, enum thread_order order)
{
	uint64_t one = 1;

	__atomic_store_n(&thread->order, order, __ATOMIC_RELEASE);
	if (thread->wake_fd >= 0 && write(thread->wake_fd, &one, sizeof one) < 0)
		return; /* the counter is full: it is readable already */
}

/*
 * Whether it has exited or was killed; if so, it is joined. The C library knows from the thread id
 * that the kernel clears (set_tid_address(2)): no system call.
 */
static inline int thread_try_join(const struct thread *thread)
{
	return pthread_tryjoin_np(thread->id, NULL) == 0;
}

static inline int thread_done(const struct thread *thread)
{
	return (int)__atomic_load_n(&thread->done, __ATOMIC_ACQUIRE);
}

#endif
