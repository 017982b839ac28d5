/* SPDX-License-Identifier: Apache-2.0 */
/* For the programs that test a leaf of cext/ without Python. */
#ifndef XDPKIT_TESTS_CHECK_H
#define XDPKIT_TESTS_CHECK_H

#include <stdio.h>
#include <unistd.h>

/* Ends the program at the first that does not hold; by _exit(2), which a seccomp sandbox allows. */
#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

#endif
