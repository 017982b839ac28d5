/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* bcc includes this before everything else; its helpers.h is empty without CONFIG_BPF_SYSCALL. */
#define CONFIG_BPF_SYSCALL 1
typedef __SIZE_TYPE__ size_t;
/*
 * bcc carries its own copy of the UAPI header, newer than many systems': first, and the system's
 * is empty by its guard, which installed headers have without _UAPI (scripts/headers_install.sh).
 */
#include <bcc/bpf.h>
#define __LINUX_BPF_H__
