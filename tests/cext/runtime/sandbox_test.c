// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the numbers of the system calls that a thread in the sandbox (cext/runtime/sandbox.h)
 * survives; the only argument is the kind of thread. Each call has its own thread and nonsensical
 * arguments.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "runtime/sandbox.h"
#include "check.h"

/* Above the last of Linux 6.18 (include/uapi/asm-generic/unistd.h). */
#define CALLS 600

struct probe {
	enum sandbox_kind kind;
	int number;
	long protection; /* third argument: the protection for mmap(2) and mprotect(2) */
	int confined;    /* errno of sandbox_enter() */
	int alive;
};

static void *call(void *argument)
{
	struct probe *probe = argument;

	probe->confined = sandbox_enter(probe->kind);
	syscall(probe->number, -1, -1, probe->protection, -1, -1, -1);
	probe->alive = 1;
	return NULL;
}

static int survives(enum sandbox_kind kind, int number, long protection)
{
	struct probe probe = {.kind = kind, .number = number, .protection = protection};
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, call, &probe) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(probe.confined == 0);
	return probe.alive;
}

/* If the filter allowed these calls, they would end, duplicate or stop this program. */
static int spoils_the_test(int number)
{
#ifdef __x86_64__
	/* uretprobe(2) and uprobe(2) bypass the filter and kill a caller without a probe. */
	if (number == 335 || number == 336 || number == __NR_fork || number == __NR_vfork ||
	    number == __NR_pause)
		return 1;
#endif
	return number == __NR_exit || number == __NR_exit_group || number == __NR_rt_sigreturn ||
	       number == __NR_vhangup;
}

int main(int count, char **arguments)
{
	enum sandbox_kind kind = (enum sandbox_kind)atoi(arguments[1]);

	CHECK(count == 2);
	for (int number = 0; number < CALLS; number++)
		if (!spoils_the_test(number) && survives(kind, number, 0))
			printf("%d\n", number);
	CHECK(!survives(kind, __NR_mmap, PROT_EXEC));
	CHECK(!survives(kind, __NR_mprotect, PROT_READ | PROT_EXEC));
	CHECK(survives(kind, __NR_mmap, PROT_READ | PROT_WRITE));
	return 0;
}
