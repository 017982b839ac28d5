/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* bcc includes this before everything else; its helpers.h is empty without CONFIG_BPF_SYSCALL. */
#define CONFIG_BPF_SYSCALL 1
typedef __SIZE_TYPE__ size_t;
