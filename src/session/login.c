/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "base/secret.h"
#include "session/session-private.h"

/* ---- guests ---- */

Guest *guest_find(Session *s, const RoutingId *id)
{
        for (size_t i = 0; i < s->n_guests; i++) {
                Guest *g = &s->guests[(s->first_guest + i) % GUESTS_MAX];
                if (g->until > s->now.now && routing_id_equal(&g->id, id))
                        return g;
        }
        return NULL;
}

Guest *guest_add(Session *s, const RoutingId *id)
{
        Guest *g = guest_find(s, id);
        if (!g) {
                if (s->n_guests == GUESTS_MAX) {
                        s->first_guest = (s->first_guest + 1) % GUESTS_MAX;
                        s->n_guests--;
                }
                g = &s->guests[(s->first_guest + s->n_guests++) % GUESTS_MAX];
        }
        *g = (Guest){ .id = *id, .until = s->now.now + GUEST_TIMEOUT };
        return g;
}

/* ---- server info ---- */

int login_server_info(Session *s, const RoutingId *from, User *u)
{
        bool private = s->config.server_password && s->config.server_password[0];
        Value *info = answer_set(value_dict_new(), "private", value_bool(private));
        info = answer_set(info, "version", value_string_new(s->config.accepted_versions[0] ?: ""));
        if (u)
                return emit_command(s, u, MESSAGE_SERVER_INFO, info);
        _cleanup_frames_ Frames *frames = NULL;
        int r = answer_new(s, MESSAGE_SERVER_INFO, info, &frames);
        return r < 0 ? r : emit_send_guest(s, from, CHANNEL_COMMAND, frames);
}

/* ---- login ---- */

static bool version_is_accepted(const Session *s, MessageText version)
{
        for (const char *const *v = s->config.accepted_versions; *v; v++)
                if (version.data && strlen(*v) == version.size && memcmp(*v, version.data, version.size) == 0)
                        return true;
        return false;
}

/* The reference's words: clients show them. A client looks for the words LOBBY and RUNNING anywhere in the answer, so
 * nothing that a peer has chosen may be repeated, except a version that looks like one. */
static void describe_version(const Session *s, MessageText version, char *reason, size_t reason_size)
{
        char given[16] = "unknown";
        char copy[sizeof given] = "";
        if (version.data && version.size < sizeof copy)
                memcpy(copy, version.data, version.size);
        if (copy[0] && strspn(copy, "0123456789.") == version.size)
                memcpy(given, copy, sizeof given);
        snprintf(reason, reason_size, "wrong client version (%s != %s)", given, s->config.accepted_versions[0] ?: "");
}

static bool comes_from(const User *u, const char *address)
{
        return u->address && strcmp(u->address, address) == 0;
}

static bool is_gone(const User *u)
{
        return u->away || u->lost[CHANNEL_COMMAND];
}

/* When it is known after a restart whether the user is still there: clients reconnect by themselves, and one whose
 * heartbeat alone is heard is knocked at on its command channel. */
static uint64_t known_at(const User *u)
{
        return u->away ? u->away_since + RECONNECT_TIME : u->returned + COMMAND_KNOCK_INTERVAL + RECONNECT_TIME / 2;
}

static bool may_yet_return(const Session *s, const User *u)
{
        return is_gone(u) && s->now.now < known_at(u);
}

/* The place of a user whose connection is gone is free for who comes from the same address, as a crashed Blender
 * that was started again does. */
static bool may_take_over(const Session *s, const User *u, const char *address)
{
        return is_gone(u) && !may_yet_return(s, u) && comes_from(u, address);
}

static bool text_is(MessageText text, const Bytes *b)
{
        return text.size == b->size && memcmp(text.data, b->data, b->size) == 0;
}

/* Fills in why not; "" when the login is good. *ret_guilty: it looks like guessing. */
static void judge(Session *s, const Message *m, const char *address, char *reason, size_t reason_size,
                  bool *ret_guilty)
{
        MessageText name = m->name;
        const User *holder = session_find_name(s, name.data, name.size);
        *ret_guilty = false;
        if (!message_text_is_clean(name.data, name.size, s->limits.max_name)) {
                snprintf(reason, reason_size, "user name is empty, too long, or has control characters");
        } else if (text_is(name, s->common) || text_is(name, s->server)) {
                snprintf(reason, reason_size, "user name is reserved");
        } else if (m->auth.admin && !secret_matches(s->config.admin_password, m->auth.admin_password.data,
                                                    m->auth.admin_password.size)) {
                snprintf(reason, reason_size, "wrong admin password");
                *ret_guilty = true;
        } else if (!secret_matches(s->config.server_password, m->auth.server_password.data,
                                   m->auth.server_password.size)) {
                snprintf(reason, reason_size, "wrong server password");
                *ret_guilty = true;
        } else if (holder && !may_take_over(s, holder, address)) {
                snprintf(reason, reason_size, "client already logged in");
        } else if (!version_is_accepted(s, m->auth.version)) {
                describe_version(s, m->auth.version, reason, reason_size);
        } else if (s->n_users - (holder ? 1 : 0) >= s->config.max_users) {
                snprintf(reason, reason_size, "too many users");
        } else {
                reason[0] = '\0';
        }
}

static int login_refuse(Session *s, const RoutingId *from, const char *address, MessageText name, const char *reason,
                        bool guilty)
{
        bool clean = message_text_is_clean(name.data, name.size, s->limits.max_name);
        char *shown = clean ? strndup((const char *)name.data, name.size) : strdup("?");
        char text[256];
        s->n_failed_logins++;
        snprintf(text, sizeof text, "FAILED: %s", reason);
        _cleanup_frames_ Frames *frames = NULL;
        int r = shown ? answer_new(s, MESSAGE_AUTH, value_string_new(text), &frames) : -ENOMEM;
        if (r == 0)
                r = emit_send_guest(s, from, CHANNEL_COMMAND, frames);
        if (r == 0 && guilty)
                r = emit_penalty(s, address, 1);
        if (r == 0)
                r = emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_LOGIN_REFUSED, NULL,
                             &(LogDetails){ .user = shown, .address = address, .reason = reason },
                             "A login from %s as \"%s\" was refused: %s.", address, shown, reason);
        free(shown);
        Guest *g = r == 0 ? guest_find(s, from) : NULL;
        if (g)
                g->has_ttl = false;
        return r;
}

/* A heartbeat that came before the login. */
static int login_adopt_heartbeat(Session *s, User *u)
{
        Guest *g = guest_find(s, &u->id);
        if (!g)
                return 0;
        if (g->has_ttl) {
                u->has_ttl = true;
                u->ttl_heard = s->now.now;
                u->ping_sent = g->ping_sent;
                u->heartbeat = g->heartbeat;
        }
        g->until = 0;
        return 0;
}

static int login_accept(Session *s, const RoutingId *from, const char *address, const Message *m)
{
        _cleanup_user_ User *u = user_new(from, m->name.data, m->name.size);
        if (!u)
                return -ENOMEM;
        u->admin = m->auth.admin && s->config.admin_password && s->config.admin_password[0];
        u->status = USER_LOBBY;
        s->n_logins++;
        u->since_wall = s->now.wall;
        u->expected = session_has_scene(s);
        u->silent_since = u->login = s->now.now;
        user_set_address(u, address);
        int r = history_came(s, u);
        if (r == 0)
                r = session_add_user(s, u);
        if (r < 0)
                return r;
        User *added = TAKE_PTR(u);
        r = login_adopt_heartbeat(s, added);
        if (r == 0)
                r = emit_open(s, added);
        if (r == 0)
                r = journal_user(s, added);
        if (r == 0)
                r = table_send_login(s, added);
        if (r == 0)
                r = emit_command(s, added, MESSAGE_AUTH, value_string_new(added->expected ? "RUNNING" : "LOBBY"));
        if (r == 0)
                r = emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_LOGIN, added, NULL, "%s has logged in from %s%s.",
                             (const char *)added->name->data, address, added->admin ? " as admin" : "");
        return r;
}

#define AUTH_FRAMES 3u

/* Takes the heir's login as if it had just come. */
static int heir_enter(Session *s, Heir *h)
{
        Message m;
        const char *reason;
        int r = message_parse(&m, &s->limits, CHANNEL_COMMAND, h->frames->frame, h->frames->n_frames, true, &reason);
        return session_take(s, CHANNEL_COMMAND, &h->id, NULL, h->address, r, reason, &m, h->frames->frame,
                            h->frames->n_frames);
}

int login_tick(Session *s)
{
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (!u->heir)
                        continue;
                if (may_yet_return(s, u)) {
                        session_need(s, known_at(u));
                        continue;
                }
                _cleanup_heir_ Heir *h = TAKE_PTR(u->heir);
                size_t before = s->n_logins;
                int r = heir_enter(s, h);
                if (r < 0)
                        return r;
                /* It has taken the user's place, and is the last one now. */
                if (s->n_logins != before)
                        i--;
        }
        return 0;
}

void login_forget(Session *s, const RoutingId *from)
{
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (u->heir && routing_id_equal(&u->heir->id, from))
                        u->heir = heir_free(u->heir);
        }
}

int login_auth(Session *s, const RoutingId *from, const char *address, const Message *m, Bytes *const *frames)
{
        User *u = session_find_user(s, from);
        if (u)
                return session_malformed(s, u, address, "is a second login on the same connection");
        u = session_find_name(s, m->name.data, m->name.size);
        if (u && !u->heir && may_yet_return(s, u) && comes_from(u, address)) {
                u->heir = heir_new(from, address, frames, AUTH_FRAMES);
                session_need(s, known_at(u));
                return u->heir ? 0 : -ENOMEM;
        }
        char reason[200];
        bool guilty;
        judge(s, m, address, reason, sizeof reason, &guilty);
        if (reason[0])
                return login_refuse(s, from, address, m->name, reason, guilty);
        u = session_find_name(s, m->name.data, m->name.size);
        if (u) {
                int r = login_leave(s, u, "the same user has come back with a new connection");
                if (r < 0)
                        return r;
        }
        return login_accept(s, from, address, m);
}

/* ---- leaving ---- */

int login_leave(Session *s, User *u, const char *reason)
{
        int r = emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_LEFT, u, &(LogDetails){ .reason = reason },
                         "%s has left: %s.", (const char *)u->name->data, reason);
        if (r == 0)
                r = init_abandon(s, u, reason);
        if (r == 0)
                r = rights_release(s, u->name, u);
        if (r == 0)
                r = metadata_settle(s, u);
        if (r == 0)
                r = journal(s, RECORD_LEFT, u, u->name, NULL, NULL);
        if (r < 0)
                return r;
        Guest *g = guest_add(s, &u->id);
        g->left = true;
        r = history_left(s, u);
        if (r < 0)
                return r;
        session_remove_user(s, u);
        s->table_dirty = true;
        r = emit_close(s, &u->id);
        char *save = NULL;
        if (r == 0 && asprintf(&save, "user_disconnect:%s", (const char *)u->name->data) < 0)
                r = -ENOMEM;
        if (r == 0)
                r = emit_save(s, save);
        free(save);
        user_free(u);
        return r;
}

int login_kick(Session *s, User *u, const char *reason)
{
        Value *data = answer_set(value_dict_new(), "reason", value_string_new(reason));
        int r = emit_command(s, u, MESSAGE_DISCONNECT, data);
        return r < 0 ? r : login_leave(s, u, reason);
}

int login_kick_message(Session *s, User *u, const Message *m)
{
        if (!u->admin || !user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "wanted to kick somebody without being admin", false);
        User *target = session_find_name(s, m->name.data, m->name.size);
        if (!target)
                return emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_NONE, u, NULL,
                                "%s wanted to kick somebody who is not there.", (const char *)u->name->data);
        int r = emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_KICKED, target,
                         &(LogDetails){ .admin = (const char *)u->name->data }, "%s has been kicked by %s.",
                         (const char *)target->name->data, (const char *)u->name->data);
        return r < 0 ? r : login_kick(s, target, "kicked by admin");
}
