/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "session/chat-log.h"
#include "session/message.h"

#define NAME_MAX_SIZE 255u

struct ChatLog {
        ChatMessage messages[CHAT_LOG_MAX + 1];
        size_t n;
        size_t bytes;
        uint64_t last_number;
        uint64_t floor; /* time of the newest that was dropped */
};

ChatLog *chat_log_new(void)
{
        return calloc(1, sizeof(ChatLog));
}

static void chat_message_done(ChatMessage *m)
{
        free(m->id);
        free(m->author);
        free(m->text);
}

ChatLog *chat_log_free(ChatLog *log)
{
        if (!log)
                return NULL;
        for (size_t i = 0; i < log->n; i++)
                chat_message_done(&log->messages[i]);
        free(log);
        return NULL;
}

size_t chat_log_length(const ChatLog *log)
{
        return log->n;
}

const ChatMessage *chat_log_get(const ChatLog *log, size_t i)
{
        return &log->messages[i];
}

uint64_t chat_log_floor(const ChatLog *log)
{
        return log->floor;
}

void chat_log_set_floor(ChatLog *log, uint64_t floor)
{
        log->floor = floor;
}

uint64_t chat_log_last_number(const ChatLog *log)
{
        return log->last_number;
}

/* ---- the form ---- */

/* The panel shows these without looking at their types. */
static bool metadata_is_good(json_object *item)
{
        json_object *metadata = json_object_object_get(item, "metadata"), *code;
        if (!metadata)
                return true;
        return json_object_is_type(metadata, json_type_object) &&
               (!json_object_object_get_ex(metadata, "code", &code) || json_object_is_type(code, json_type_string));
}

/* 0, CHAT_MALFORMED or -ENOMEM. */
static int bring_into_form(json_object *item, double *ret_time, json_object **ret)
{
        const char *text;
        double time;
        if (!json_object_is_type(item, json_type_object) || !json_item_id(item, &text) ||
            !json_item_text(item, "username", NAME_MAX_SIZE, &text) ||
            !message_text_is_clean(text, strlen(text), NAME_MAX_SIZE) ||
            !json_item_text(item, "message", JSON_ITEM_SIZE_MAX, &text) ||
            !json_item_time(item, "timestamp", &time) || !metadata_is_good(item) ||
            (json_object_object_get_ex(item, "msg_type", NULL) && !json_item_text(item, "msg_type", 32, &text)))
                return CHAT_MALFORMED;
        _cleanup_json_ json_object *o = json_object_new_object();
        json_object *metadata = json_object_object_get(item, "metadata");
        if (!o || json_item_copy(o, item, "id", "") < 0 || json_item_copy(o, item, "username", "") < 0 ||
            json_item_copy(o, item, "message", "") < 0 || json_item_copy(o, item, "msg_type", "text") < 0 ||
            json_item_add(o, "metadata", metadata ? json_object_get(metadata) : json_object_new_object()) < 0 ||
            json_item_copy(o, item, "timestamp", "") < 0)
                return -ENOMEM;
        *ret_time = time;
        *ret = TAKE_PTR(o);
        return 0;
}

json_object *chat_message_new(const char *username, const char *message, uint64_t wall)
{
        char id[32];
        snprintf(id, sizeof id, "%llu.%06u", (unsigned long long)(wall / USEC_PER_SEC), (unsigned)(wall % USEC_PER_SEC));
        _cleanup_json_ json_object *o = json_object_new_object();
        if (!o || json_item_add(o, "id", json_object_new_string(id)) < 0 ||
            json_item_add(o, "username", json_object_new_string(username)) < 0 ||
            json_item_add(o, "message", json_object_new_string(message)) < 0 ||
            json_item_add(o, "timestamp", json_object_new_double_s((double)wall / USEC_PER_SEC, id)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

/* ---- the log ---- */

static bool is_known(const ChatLog *log, const char *id)
{
        for (size_t i = log->n; i > 0; i--)
                if (strcmp(log->messages[i - 1].id, id) == 0)
                        return true;
        return false;
}

/* Returns where it is, takes over what is in it. */
static size_t insert(ChatLog *log, const ChatMessage *m)
{
        size_t at = log->n;
        while (at > 0 && log->messages[at - 1].time > m->time)
                at--;
        memmove(log->messages + at + 1, log->messages + at, (log->n - at) * sizeof *log->messages);
        log->messages[at] = *m;
        log->n++;
        log->bytes += m->text_size;
        log->last_number = MAX(log->last_number, m->number);
        return at;
}

static size_t weight(const ChatMessage *m, bool in_bytes)
{
        return in_bytes ? m->text_size : 1;
}

/* Who has brought more than half of what is there from `first` on, by Boyer and Moore's majority vote; NULL: nobody. */
static const char *majority(const ChatLog *log, size_t first, bool in_bytes)
{
        const char *candidate = NULL;
        size_t votes = 0, total = 0, share = 0;
        for (size_t i = first; i < log->n; i++) {
                const ChatMessage *m = &log->messages[i];
                size_t w = weight(m, in_bytes);
                total += w;
                if (candidate && strcmp(candidate, m->author) == 0) {
                        votes += w;
                } else if (votes < w) {
                        candidate = m->author;
                        votes = w - votes;
                } else {
                        votes -= w;
                }
        }
        for (size_t i = first; candidate && i < log->n; i++)
                if (strcmp(candidate, log->messages[i].author) == 0)
                        share += weight(&log->messages[i], in_bytes);
        return share > total / 2 ? candidate : NULL;
}

static size_t oldest_of(const ChatLog *log, const char *author)
{
        size_t i = 0;
        while (author && strcmp(log->messages[i].author, author) != 0)
                i++;
        return i;
}

/* Makes room. Returns where the message that was at `at` is then; SIZE_MAX: dropped. */
static size_t trim(ChatLog *log, size_t at)
{
        for (;;) {
                bool in_bytes = log->n <= CHAT_LOG_MAX;
                if (in_bytes && (log->bytes <= CHAT_LOG_BYTES_MAX || log->n <= 1))
                        return at;
                size_t i = oldest_of(log, majority(log, 0, in_bytes));
                ChatMessage *m = &log->messages[i];
                log->bytes -= m->text_size;
                /* What others said before may still come. */
                if (i == 0)
                        log->floor = MAX(log->floor, m->time);
                chat_message_done(m);
                memmove(m, m + 1, (--log->n - i) * sizeof *m);
                if (at != SIZE_MAX && i <= at)
                        at = i == at ? SIZE_MAX : at - 1;
        }
}

/* 0 or -ENOMEM. */
static int chat_message_make(json_object *form, const char *author, uint64_t number, uint64_t time, ChatMessage *ret)
{
        ChatMessage m = { .number = number, .time = time };
        m.id = strdup(json_object_get_string(json_object_object_get(form, "id")));
        m.author = strdup(author ?: json_object_get_string(json_object_object_get(form, "username")));
        m.text = json_item_print(form, &m.text_size);
        if (!m.id || !m.author || !m.text) {
                chat_message_done(&m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

int chat_log_merge(ChatLog *log, json_object *item, const char *author, uint64_t wall, bool last, const ChatMessage **ret)
{
        const char *id;
        if (json_object_is_type(item, json_type_object) && json_item_id(item, &id) && is_known(log, id))
                return CHAT_KNOWN;
        _cleanup_json_ json_object *form = NULL;
        double stamp = 0;
        int r = bring_into_form(item, &stamp, &form);
        if (r != 0)
                return r;
        uint64_t newest = log->n > 0 ? log->messages[log->n - 1].time : 0;
        uint64_t time = MIN((uint64_t)(stamp * USEC_PER_SEC), wall);
        /* Also one that its author seems to have just written: it has been sent again. */
        if (time <= log->floor)
                return CHAT_PAST;
        ChatMessage m;
        r = chat_message_make(form, author, log->last_number + 1, last ? MAX(wall, newest) : time, &m);
        if (r < 0)
                return r;
        if (m.text_size > JSON_ITEM_SIZE_MAX) {
                chat_message_done(&m);
                return CHAT_MALFORMED;
        }
        size_t at = trim(log, insert(log, &m));
        if (at == SIZE_MAX)
                return CHAT_PAST;
        *ret = &log->messages[at];
        return CHAT_NEW;
}

int chat_log_load(ChatLog *log, const char *author, uint64_t number, uint64_t time, const char *text, size_t size)
{
        _cleanup_json_ json_object *item = json_item_parse_text(text, size), *form = NULL;
        double stamp;
        int r = bring_into_form(item, &stamp, &form);
        if (r != 0)
                return MIN(r, 1);
        if (is_known(log, json_object_get_string(json_object_object_get(form, "id"))))
                return 0;
        ChatMessage m;
        r = chat_message_make(form, author, number != 0 ? number : log->last_number + 1, time, &m);
        if (r < 0)
                return r;
        trim(log, insert(log, &m));
        return 0;
}

/* Which of the messages are told. */
typedef struct Choice {
        bool taken[CHAT_LOG_MAX];
        size_t n, bytes;
        size_t max_messages, max_bytes;
} Choice;

static bool take(Choice *c, const ChatLog *log, size_t i)
{
        size_t size = log->messages[i].text_size;
        if (c->n >= c->max_messages || c->bytes + size >= c->max_bytes)
                return false;
        c->taken[i] = true;
        c->n++;
        c->bytes += size + 1;
        return true;
}

/* The newest, and if somebody has more than half of these, older ones of others instead of what is beyond the half. */
static void choose(Choice *c, const ChatLog *log)
{
        Choice plain = *c;
        size_t first = log->n, n_big = 0, bytes_big = 0;
        while (first > 0 && take(&plain, log, first - 1))
                first--;
        const char *big = first > 0 ? majority(log, first, plain.n < plain.max_messages) : NULL;
        for (size_t i = log->n; i > 0; i--) {
                const ChatMessage *m = &log->messages[i - 1];
                bool is_big = big && strcmp(m->author, big) == 0;
                if (is_big && (n_big >= c->max_messages / 2 || bytes_big + m->text_size > c->max_bytes / 2))
                        continue;
                if (!take(c, log, i - 1))
                        break;
                n_big += is_big;
                bytes_big += is_big ? m->text_size : 0;
        }
        for (size_t i = log->n; i > first; i--)
                if (!c->taken[i - 1] && !take(c, log, i - 1))
                        break;
}

Value *chat_log_tell(const ChatLog *log, size_t max_messages, size_t max_bytes)
{
        Choice c = { .bytes = 3, .max_messages = max_messages, .max_bytes = max_bytes };
        choose(&c, log);
        _cleanup_json_text_ JsonText t = { 0 };
        json_text_add(&t, " [", 2);
        bool any = false;
        for (size_t i = 0; i < log->n; i++) {
                if (!c.taken[i])
                        continue;
                if (any)
                        json_text_add(&t, ",", 1);
                any = true;
                json_text_add(&t, log->messages[i].text, log->messages[i].text_size);
        }
        json_text_add(&t, "]", 1);
        return t.failed ? NULL : value_str_new(t.data, t.size);
}
