/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answering thread may ask of the kernel once it answers: no capability, and only the
 * system calls of its loop (seccomp(2)). Whatever else it calls ends that thread and no other; its
 * owner sees that (bindings/_thread.pyx, `dead`) and the kernel answers in its place.
 */
#ifndef XDPKIT_CONFINE_H
#define XDPKIT_CONFINE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#endif

/* Whose calls. */
enum sandbox_kind {
	SANDBOX_RING, /* bindings/_loop.pyx */
	SANDBOX_UDP,  /* bindings/_udp_listener.pyx */
	SANDBOX_TCP,  /* bindings/_tcp_listener.pyx, slowpath/tcp_listener.c */
};

/* Any thread's: the end of pthread_create(3)'s thread, and memory for libcrypto or the C library.
 * restart_syscall(2) is a wait that a debugger or SIGSTOP interrupted; clock_gettime(2) is called
 * where the clock source is not readable without the kernel (vdso(7)). */
static const uint16_t sandbox_any[] = {
	__NR_brk,  __NR_clock_gettime, __NR_exit,   __NR_futex,           __NR_madvise,
	__NR_mmap, __NR_mprotect,      __NR_munmap, __NR_restart_syscall, __NR_rt_sigprocmask,
};

static const uint16_t sandbox_ring[] = {
	__NR_recvfrom,
	__NR_sendto,
	__NR_ppoll,
#ifdef __NR_poll
	__NR_poll,
#endif
};

static const uint16_t sandbox_door[] = {
	__NR_recvmmsg,
	__NR_sendmmsg,
	__NR_epoll_pwait,
#ifdef __NR_epoll_wait
	__NR_epoll_wait,
#endif
};

static const uint16_t sandbox_tcp[] = {
	__NR_accept4,    __NR_close,      __NR_epoll_ctl, __NR_recvfrom,
	__NR_sendto,     __NR_setsockopt, __NR_shutdown,  __NR_epoll_pwait,
#ifdef __NR_epoll_wait
	__NR_epoll_wait,
#endif
};

#define SANDBOX_COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Above what the longest program has: 4 + 2 a call, 5 a call that maps memory, 1. */
#define SANDBOX_PROGRAM_MAX 64

/* Appends to a filter program: these calls are allowed, without memory that can be executed. */
static inline unsigned sandbox_allow(struct sock_filter *code, unsigned at, const uint16_t *calls,
				     size_t n)
{
	const struct sock_filter load_protection = BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[2]));
	const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_filter kill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);

	for (size_t i = 0; i < n; i++) {
		bool maps = calls[i] == __NR_mmap || calls[i] == __NR_mprotect;
		const struct sock_filter is_call =
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, maps ? 4 : 1);
		const struct sock_filter executes =
			BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);

		code[at++] = is_call;
		if (maps) {
			code[at++] = load_protection;
			code[at++] = executes;
			code[at++] = kill;
		}
		code[at++] = allow;
	}
	return at;
}

/* Writes the filter of a kind of thread; returns its length in instructions. */
static inline unsigned sandbox_program(struct sock_filter *code, enum sandbox_kind kind)
{
	const struct sock_filter kill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
	unsigned n = 0;

#ifdef SANDBOX_ARCH
	/* A call by another architecture's numbers is none of ours. */
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
	code[n++] = kill;
#endif
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	/* What a batch calls first. */
	if (kind == SANDBOX_RING)
		n = sandbox_allow(code, n, sandbox_ring, SANDBOX_COUNT(sandbox_ring));
	else if (kind == SANDBOX_UDP)
		n = sandbox_allow(code, n, sandbox_door, SANDBOX_COUNT(sandbox_door));
	else
		n = sandbox_allow(code, n, sandbox_tcp, SANDBOX_COUNT(sandbox_tcp));
	n = sandbox_allow(code, n, sandbox_any, SANDBOX_COUNT(sandbox_any));
	code[n++] = kill;
	return n;
}

/* Gives up every capability of the calling thread. */
static inline void sandbox_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	syscall(__NR_capset, &header, none);
}

/*
 * Confines the calling thread, for good. Returns 0 or an errno, ENOSYS where this architecture has
 * no list: then it holds no capability, but may call what it likes.
 */
static inline int sandbox_enter(enum sandbox_kind kind)
{
	struct sock_filter code[SANDBOX_PROGRAM_MAX];
	struct sock_fprog program = {.filter = code};

	sandbox_capabilities();
	/* Of this thread alone; without it a filter takes CAP_SYS_ADMIN. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
#ifndef SANDBOX_ARCH
	return ENOSYS;
#endif
	program.len = (unsigned short)sandbox_program(code, kind);
	/* Its loads need no guarding from itself: what SPEC_ALLOW leaves off costs every packet. */
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		       &program)
		       ? errno
		       : 0;
}

#endif
