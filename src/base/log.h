/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What programs say to the people who run them. Only src/daemon and src/ctl
 * write here; the library rooms report through return values.
 *
 * A message goes to one of three outlets, chosen once: the journal, with
 * structured fields and a message id, when stderr is connected to it; a
 * terminal, with colour; or plain lines of "YYYY-MM-DD HH:MM:SS LEVEL message"
 * when stderr is a file or pipe. A log file gets plain lines in addition.
 *
 * Texts may carry names that came over the network: every control character,
 * and every byte that is not UTF-8, is escaped before it reaches any outlet.
 * Passwords must never be handed to these functions.
 */

#include <stdint.h>
#include <syslog.h>

#include "base/macros.h"

/* An extra journal field; plain outlets show only the message. Use the constructors below. */
typedef struct LogField {
        const char *name;  /* "SCENEKEEP_USER"; NULL ends a list */
        const char *value; /* text, or NULL for a number */
        uint64_t number;
} LogField;

#define LOG_TEXT(field, text) ((LogField){.name = "SCENEKEEP_" field, .value = (text) ?: ""})
#define LOG_NUMBER(field, n) ((LogField){.name = "SCENEKEEP_" field, .number = (n)})
#define LOG_FIELDS(...) ((const LogField[]){__VA_ARGS__, {.name = NULL}})

/* Chooses the outlet from what stderr is. identifier ends up as SYSLOG_IDENTIFIER; it and instance (which is put
 * as SCENEKEEP_INSTANCE on every message, NULL: none) must outlive the log. Until this is called, messages go
 * to stderr as plain lines. */
void log_open(const char *identifier, const char *instance);

/* Whether messages go to the journal. */
bool log_is_journal(void);

/* Adds plain lines to a file, opened for appending (mode 0640); NULL closes it. Returns 0 or -errno. */
int log_set_file(const char *path);
void log_close(void);

/* Messages of a priority above max_priority (LOG_ERR..LOG_DEBUG of syslog.h) are dropped. Default LOG_INFO. */
void log_set_max_priority(int max_priority);
int log_max_priority(void);

/* "debug", "info", "notice", "warning", "error", "critical" in any case; returns the priority or -EINVAL. */
int log_priority_from_string(const char *s);
const char *log_priority_to_string(int priority);

/* Writes one message. message_id: 32 hex digits of daemon/event-id.h or NULL; fields: LOG_FIELDS(...) or NULL.
 * Never fails, keeps errno. */
void log_write(int priority, const char *message_id, const LogField *fields, const char *format, ...)
        _printf_(4, 5);

/* Same, with ": " and the text of the error appended and ERRNO= set. error is an errno of either sign;
 * returns its negative, so that `return log_write_errno(...)` reads well. */
int log_write_errno(int priority, int error, const char *message_id, const LogField *fields, const char *format, ...)
        _printf_(5, 6);

#define log_event(priority, message_id, fields, ...) log_write(priority, message_id, fields, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERR, NULL, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, NULL, NULL, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, NULL, NULL, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, NULL, NULL, __VA_ARGS__)
#define log_debug(...)                                           \
        do {                                                     \
                if (log_max_priority() >= LOG_DEBUG)             \
                        log_write(LOG_DEBUG, NULL, NULL, __VA_ARGS__); \
        } while (0)
#define log_error_errno(error, ...) log_write_errno(LOG_ERR, error, NULL, NULL, __VA_ARGS__)
#define log_warning_errno(error, ...) log_write_errno(LOG_WARNING, error, NULL, NULL, __VA_ARGS__)

/* A new string with control characters, malformed UTF-8, and (so that a text cannot reorder a line) Unicode
 * direction marks written as \xNN; NULL when memory is short. */
char *log_escape(const char *text, size_t size);
