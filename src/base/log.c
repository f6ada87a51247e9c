/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Callers of this file are not told apart by file and line in the journal, but by message id. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/log.h"

#define EXTRA_FIELDS_MAX 16 /* of one message; what is beyond is left out */

typedef enum Outlet {
        OUTLET_PLAIN,
        OUTLET_TERMINAL,
        OUTLET_JOURNAL,
} Outlet;

static struct {
        Outlet outlet;
        int max_priority;
        int file_fd;
        const char *identifier;
        const char *instance;
} the_log = {.max_priority = LOG_INFO, .file_fd = -1};

static const char *const priority_names[] = {
        [LOG_EMERG] = "EMERGENCY", [LOG_ALERT] = "ALERT",   [LOG_CRIT] = "CRITICAL", [LOG_ERR] = "ERROR",
        [LOG_WARNING] = "WARNING", [LOG_NOTICE] = "NOTICE", [LOG_INFO] = "INFO",     [LOG_DEBUG] = "DEBUG",
};

const char *log_priority_to_string(int priority)
{
        return priority >= 0 && priority < (int)ELEMENTSOF(priority_names) ? priority_names[priority] : "UNKNOWN";
}

int log_priority_from_string(const char *s)
{
        for (int i = LOG_CRIT; i <= LOG_DEBUG; i++)
                if (strcasecmp(s, priority_names[i]) == 0)
                        return i;
        return -EINVAL;
}

static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) != 2)
                return false;
        return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static bool stderr_shows_colour(void)
{
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

        return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 && (!no_colour || !*no_colour);
}

void log_open(const char *identifier, const char *instance)
{
        the_log.identifier = identifier;
        the_log.instance = instance;
        the_log.outlet = stderr_is_journal()     ? OUTLET_JOURNAL
                         : stderr_shows_colour() ? OUTLET_TERMINAL
                                                 : OUTLET_PLAIN;
}

bool log_is_journal(void)
{
        return the_log.outlet == OUTLET_JOURNAL;
}

int log_set_file(const char *path)
{
        int fd = -1;

        if (path) {
                fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
                if (fd < 0)
                        return -errno;
        }
        if (the_log.file_fd >= 0)
                close(the_log.file_fd);
        the_log.file_fd = fd;
        return 0;
}

void log_close(void)
{
        log_set_file(NULL);
        the_log.identifier = the_log.instance = NULL;
        the_log.outlet = OUTLET_PLAIN;
}

void log_set_max_priority(int max_priority)
{
        the_log.max_priority = max_priority;
}

int log_max_priority(void)
{
        return the_log.max_priority;
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629), with its code point, or 0. */
static size_t utf8_decode(const uint8_t *s, size_t size, uint32_t *ret_code)
{
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
        uint32_t code;

        if (n == 0 || n > size)
                return 0;
        code = n == 1 ? s[0] : s[0] & (0x7f >> n);
        for (size_t i = 1; i < n; i++) {
                if (s[i] >> 6 != 2)
                        return 0;
                code = code << 6 | (s[i] & 0x3f);
        }
        if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return 0;
        *ret_code = code;
        return n;
}

/* Control characters, line separators, and marks that change the direction of what follows. */
static bool code_is_unsafe(uint32_t code)
{
        return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
               (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static char *put_hex(char *out, uint8_t byte)
{
        static const char digits[] = "0123456789abcdef";

        *out++ = '\\';
        *out++ = 'x';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
        return out;
}

char *log_escape(const char *text, size_t size)
{
        const uint8_t *s = (const uint8_t *)text;
        char *escaped, *out;

        if (size > (SIZE_MAX - 1) / 4)
                return NULL;
        out = escaped = malloc(size * 4 + 1);
        if (!escaped)
                return NULL;
        while (size > 0) {
                uint32_t code = 0;
                size_t n = utf8_decode(s, size, &code);

                if (n > 0 && !code_is_unsafe(code)) {
                        out = (char *)memcpy(out, s, n) + n;
                } else {
                        n = n ?: 1;
                        for (size_t i = 0; i < n; i++)
                                out = put_hex(out, s[i]);
                }
                s += n;
                size -= n;
        }
        *out = '\0';
        return escaped;
}

static void write_line(int fd, bool colour, int priority, const char *message)
{
        const char *on = "", *off = "";
        _cleanup_free_ char *line = NULL;
        char stamp[32] = "";
        struct tm tm;
        time_t now = time(NULL);
        int size;

        if (colour) {
                on = priority <= LOG_ERR       ? "\x1b[1;31m"
                     : priority == LOG_WARNING ? "\x1b[33m"
                     : priority == LOG_NOTICE  ? "\x1b[1m"
                     : priority == LOG_DEBUG   ? "\x1b[2m"
                                               : "";
                off = *on ? "\x1b[0m" : "";
        }
        if (localtime_r(&now, &tm))
                strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
        size = asprintf(&line, "%s %s%s %s%s\n", stamp, on, log_priority_to_string(priority), message, off);
        if (size < 0) {
                line = NULL;
                return;
        }
        /* One write per line, so that lines of threads and processes do not mix. A log that cannot be
         * written must not stop the session. */
        for (char *p = line; size > 0;) {
                ssize_t n = write(fd, p, (size_t)size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                p += n;
                size -= (int)n;
        }
}

typedef struct JournalEntry {
        struct iovec iov[EXTRA_FIELDS_MAX + 6];
        int n;
} JournalEntry;

/* Takes a malloc()ed "FIELD=value", or NULL when memory was short: the field is then left out. */
static void entry_take(JournalEntry *e, char *assignment)
{
        if (!assignment)
                return;
        if (e->n == (int)ELEMENTSOF(e->iov)) {
                free(assignment);
                return;
        }
        e->iov[e->n++] = (struct iovec){.iov_base = assignment, .iov_len = strlen(assignment)};
}

static char *assign_text(const char *name, const char *value)
{
        char *s;

        return asprintf(&s, "%s=%s", name, value) < 0 ? NULL : s;
}

static char *assign_number(const char *name, uint64_t value)
{
        char *s;

        return asprintf(&s, "%s=%" PRIu64, name, value) < 0 ? NULL : s;
}

static int write_journal(int priority, int error, const char *message_id, const LogField *fields, const char *message)
{
        JournalEntry e = {};
        int r;

        entry_take(&e, assign_text("MESSAGE", message));
        entry_take(&e, assign_number("PRIORITY", (uint64_t)priority));
        if (the_log.identifier)
                entry_take(&e, assign_text("SYSLOG_IDENTIFIER", the_log.identifier));
        if (the_log.instance)
                entry_take(&e, assign_text("SCENEKEEP_INSTANCE", the_log.instance));
        if (message_id)
                entry_take(&e, assign_text("MESSAGE_ID", message_id));
        if (error)
                entry_take(&e, assign_number("ERRNO", (uint64_t)error));
        for (; fields && fields->name; fields++)
                entry_take(&e, fields->value ? assign_text(fields->name, fields->value)
                                             : assign_number(fields->name, fields->number));
        r = sd_journal_sendv(e.iov, e.n);
        for (int i = 0; i < e.n; i++)
                free(e.iov[i].iov_base);
        return r;
}

static void write_message(int priority, int error, const char *message_id, const LogField *fields, const char *text)
{
        _cleanup_free_ char *message = log_escape(text, strlen(text));

        if (!message)
                return;
        if (the_log.outlet != OUTLET_JOURNAL || write_journal(priority, error, message_id, fields, message) < 0)
                write_line(STDERR_FILENO, the_log.outlet == OUTLET_TERMINAL, priority, message);
        if (the_log.file_fd >= 0)
                write_line(the_log.file_fd, false, priority, message);
}

void log_write(int priority, const char *message_id, const LogField *fields, const char *format, ...)
{
        int saved_errno = errno;
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (priority > the_log.max_priority)
                return;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (text)
                write_message(priority, 0, message_id, fields, text);
        errno = saved_errno;
}

int log_write_errno(int priority, int error, const char *message_id, const LogField *fields, const char *format, ...)
{
        int saved_errno = errno;
        _cleanup_free_ char *text = NULL, *whole = NULL;
        va_list ap;

        error = abs(error);
        if (priority > the_log.max_priority)
                return -error;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (text && asprintf(&whole, "%s: %s", text, strerrordesc_np(error) ?: "unknown error") < 0)
                whole = NULL;
        if (whole)
                write_message(priority, error, message_id, fields, whole);
        errno = saved_errno;
        return -error;
}
