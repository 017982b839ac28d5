/* SPDX-License-Identifier: Apache-2.0 */
/* For C programs that test the C library without Python. */
#ifndef XDPKIT_TESTS_CHECK_H
#define XDPKIT_TESTS_CHECK_H

#include <stdio.h>
#include <unistd.h>

/* Ends the program at the first failed check, with _exit(2), which the sandbox allows. */
#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

#endif
