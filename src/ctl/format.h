/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Figures as people read them. All write at most size bytes, NUL included, and return buffer. */

#include <stddef.h>
#include <stdint.h>

#define FORMAT_SIZE_MAX 32

/* 1536 is "1.5 KiB". */
char *format_size(char *buffer, size_t size, uint64_t bytes);

/* Two units at most: "1 h 12 min", "3.4 s", "250 ms"; of microseconds. */
char *format_duration(char *buffer, size_t size, uint64_t usec);

/* Local time, to the second: "2026-11-23 14:15:00"; of CLOCK_REALTIME microseconds; "never" for 0. */
char *format_time(char *buffer, size_t size, uint64_t usec);

/* The same instant as RFC 3339 in UTC, for JSON: "2026-11-23T14:15:00.000000Z". */
char *format_time_utc(char *buffer, size_t size, uint64_t usec);

/* Columns that a UTF-8 text takes on a terminal; a malformed byte counts as one. */
size_t format_width(const char *text);

/* A copy of the text that takes at most width columns, with an ellipsis at its end when it had more; the caller's. NULL: out of
 * memory. */
char *format_cut(const char *text, size_t width);
