/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of an answering thread once it is in its loop: no capabilities, and only the system
 * calls of that loop (seccomp(2)). Any other call kills that thread and no other; its owner notices
 * (xdpkit/_core/_thread.pyx, `dead`) and the slow path answers instead.
 */
#ifndef XDPKIT_SANDBOX_H
#define XDPKIT_SANDBOX_H

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

/* The loop whose calls are allowed. */
enum sandbox_kind {
	SANDBOX_RING, /* xdpkit/_core/_loop.pyx */
	SANDBOX_UDP,  /* xdpkit/_core/_udp_listener.pyx */
	SANDBOX_TCP,  /* xdpkit/_core/_tcp_listener.pyx, slowpath/tcp_listener.c */
};

/* For any thread: to end, and memory for libcrypto or the C library. restart_syscall(2) resumes a
 * wait that a debugger or SIGSTOP interrupted; clock_gettime(2) is called where the vDSO cannot
 * read the clock source (vdso(7)). */
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

static const uint16_t sandbox_udp[] = {
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

/* More than the longest program: 4, 2 per call or 5 per call that maps memory, and 1. */
#define SANDBOX_PROGRAM_MAX 64

/* Appends to a filter program: allows these calls, but no executable memory mappings. */
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

/* Writes the filter for a kind of thread; returns its length in instructions. */
static inline unsigned sandbox_program(struct sock_filter *code, enum sandbox_kind kind)
{
	const struct sock_filter kill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
	unsigned n = 0;

#ifdef SANDBOX_ARCH
	/* System call numbers of another architecture are not ours. */
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
	code[n++] = kill;
#endif
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	/* The calls of every batch first. */
	if (kind == SANDBOX_RING)
		n = sandbox_allow(code, n, sandbox_ring, SANDBOX_COUNT(sandbox_ring));
	else if (kind == SANDBOX_UDP)
		n = sandbox_allow(code, n, sandbox_udp, SANDBOX_COUNT(sandbox_udp));
	else
		n = sandbox_allow(code, n, sandbox_tcp, SANDBOX_COUNT(sandbox_tcp));
	n = sandbox_allow(code, n, sandbox_any, SANDBOX_COUNT(sandbox_any));
	code[n++] = kill;
	return n;
}

/* Drops all capabilities of the calling thread. */
static inline void sandbox_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	syscall(__NR_capset, &header, none);
}

/*
 * Confines the calling thread for good. Returns 0 or an errno: ENOSYS on an architecture without a
 * list, where the thread has no capabilities but may make any call.
 */
static inline int sandbox_enter(enum sandbox_kind kind)
{
	struct sock_filter code[SANDBOX_PROGRAM_MAX];
	struct sock_fprog program = {.filter = code};

	sandbox_capabilities();
	/* Only for this thread; without it a filter requires CAP_SYS_ADMIN. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
#ifndef SANDBOX_ARCH
	return ENOSYS;
#endif
	program.len = (unsigned short)sandbox_program(code, kind);
	/* SPEC_ALLOW: speculation mitigations would cost every packet, and guard only against
	 * itself. */
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		       &program)
		       ? errno
		       : 0;
}

#endif
