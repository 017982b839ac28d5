/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* bcc's helpers.h includes this; nothing of it is used by steer.c. */
