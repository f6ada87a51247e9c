/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/*
 * Whether a user is there. That follows the command connection: a crashed
 * Blender leaves its heartbeat process behind, which would answer for ever.
 *
 * A channel is *heard* when a message of the client came over it, *found* when
 * the network side could hand it one, *lost* when its connection is gone. What
 * that leads to:
 *
 *   state            evidence                   leads to
 *   there            command lost               sought: told the table, and asked for, every second
 *   there            ttl silent for `timeout`   has left
 *   there            data lost                  there, and its data sought; held commands wait
 *   sought           command found or heard     there, brought up to date
 *   sought           for `reconnect_grace`      has left (ttl heard or not: that may be a ghost)
 *   away             command found or heard     there, brought up to date
 *   away             ttl heard                  sought, brought up to date
 *   away             data found or heard        away: nothing but that its old data has been read
 *   away             for `timeout`              has left
 *
 * `away` is everybody at the start of a server who was there in the life of the
 * one before. What is found or heard before the journal has been read counts
 * as soon as it has been. What the network side has told once it does not tell
 * again unless asked (emit_open), so whoever waits asks.
 *
 * Time in which this process did not listen counts against nobody; nor does,
 * for who is sought or away, that in which messages waited for the disk.
 *
 * Data of an earlier connection (`old_data`) may lie on a slow line for long
 * after that connection has ended here; a client opens the next one when it has
 * read all of it. Until then no Delete goes to it that could overtake. After a
 * restart the next one is there when it is found. What is taken for lost in the
 * life of one server may still stand, when it was a neighbour's that has ended,
 * and is then found at once with all that was sent before still on it: only
 * what was sent since and has arrived proves that nothing comes before it.
 */

/* A heartbeat that has not been heard so long after the login is spoken to, until the second. */
#define UNHEARD_WAIT (500 * USEC_PER_MSEC)
#define UNHEARD_MAX (15 * USEC_PER_SEC)

#define ROUND_TRIP_MAX (60 * USEC_PER_SEC)

/* When the loop has not run for so long (a suspended machine), silence proves nothing about the users. */
#define TICK_GAP (2 * USEC_PER_SEC)

/* ---- bringing up to date ---- */

static int repeat_deletes(Session *s, User *u)
{
        for (size_t i = 0; i < s->n_graves; i++) {
                const Grave *g = grave_at(s, i);
                if (scene_find(s->scene, g->uuid->data, g->uuid->size))
                        continue;
                int r = order_repeat_delete(s, u, g->uuid);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int bring_up_to_date(Session *s, User *u)
{
        u->returning = 0;
        int r = 0;
        if (u->status == USER_ACTIVE)
                r = stale_mark_changed_since(s, u, u->doubt_wall);
        if (r == 0)
                r = repeat_deletes(s, u);
        if (r == 0)
                r = order_rights(s, u);
        if (r == 0)
                r = table_send(s, u);
        if (r == 0 && u->status == USER_LOBBY && !u->expected && !u->initiating && session_has_scene(s))
                r = join_offer(s, u);
        if (r == 0 && u->maybe_stuck)
                r = join_resume(s, u);
        return r < 0 ? r : stale_send(s, u);
}

/* What its data channel still holds comes first: the deltas in it were made without what it is sent now. */
static int check_returning(Session *s, User *u)
{
        if (!u->returning)
                return 0;
        uint64_t quiet = MAX(u->returning, u->data_heard) + RETURN_QUIET;
        uint64_t due = MIN(quiet, u->returning + RETURN_WAIT_MAX);
        if (due <= s->now.now)
                return bring_up_to_date(s, u);
        session_need(s, due);
        return 0;
}

static void begin_return(Session *s, User *u, uint64_t doubt_wall)
{
        if (!u->returning)
                u->doubt_wall = doubt_wall;
        u->doubt_wall = MIN(u->doubt_wall, doubt_wall);
        if (u->behind_since_wall != 0)
                u->doubt_wall = MIN(u->doubt_wall, u->behind_since_wall);
        u->returning = s->now.now;
        u->silent_since = s->now.now;
        if (u->status == USER_SYNCING || u->expected || u->initiating || u->unproved) {
                u->maybe_stuck = true;
                /* One that waits for the rest says nothing; one whose last word was lost tells its colour again. */
                u->told_colour = false;
        }
        session_need(s, s->now.now + RETURN_QUIET);
}

static uint64_t doubt_before(uint64_t wall)
{
        return wall > DOUBT_WINDOW ? wall - DOUBT_WINDOW : 0;
}

/* A client whose Blender is busy reads nothing, for minutes; it sends nothing either. Those who only watch are taken for
 * such, too. */
static uint64_t doubt_of(const Session *s, const User *u)
{
        uint64_t heard = MAX(u->data_heard, u->silent_since);
        uint64_t doubt = heard != 0 ? s->now.now - heard : 0;
        if (user_is_queued(u))
                doubt = MAX(doubt, s->now.now - u->queued_since);
        return doubt + DOUBT_WINDOW;
}

uint64_t presence_settled_wall(const Session *s)
{
        uint64_t doubt = DOUBT_WINDOW;
        for (size_t i = 0; i < s->n_users; i++)
                doubt = MAX(doubt, doubt_of(s, s->users[i]));
        return session_wall_before(s, MIN(doubt, DOUBT_MAX));
}

uint64_t presence_doubt_wall(const Session *s, const User *u)
{
        return session_wall_before(s, doubt_of(s, u));
}

/* ---- connections ---- */

/* What has come on the ttl channel alone may be from what a crashed Blender has left behind. */
static int user_is_back(Session *s, User *u, Channel by)
{
        u->away = false;
        u->returned = s->now.now;
        u->old_data = u->data_heard == 0;
        u->old_lost = 0;
        pace_note_found(u->pace, s->now.now);
        pace_doubt(u->pace, s->now.now);
        for (size_t i = 0; i < ELEMENTSOF(u->lost); i++)
                u->lost[i] = false;
        if (by == CHANNEL_TTL) {
                u->lost[CHANNEL_COMMAND] = true;
                u->lost_since = s->now.now;
                u->lost_doubt[CHANNEL_COMMAND] = doubt_before(s->last_wall);
                u->command_knock_due = s->now.now + COMMAND_KNOCK_INTERVAL;
                session_need(s, s->now.now + s->config.reconnect_grace_usec);
        }
        if (u->has_ttl)
                u->ttl_heard = s->now.now;
        begin_return(s, u, doubt_before(s->last_wall));
        int r = u->old_data ? emit_open(s, u) : 0;
        if (r < 0)
                return r;
        order_drained(s, u);
        return emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_RETURNED, u, NULL, "%s is back.",
                        (const char *)u->name->data);
}

int presence_lost(Session *s, User *u, Channel channel)
{
        if (u->away || u->lost[channel])
                return 0;
        u->lost[channel] = true;
        u->lost_doubt[channel] = presence_doubt_wall(s, u);
        if (channel == CHANNEL_COMMAND) {
                u->lost_since = s->now.now;
                u->command_knock_due = s->now.now + COMMAND_KNOCK_INTERVAL;
                session_need(s, s->now.now + s->config.reconnect_grace_usec);
                /* The last one may be lost; what comes after it names users whom the client does not know then. */
                int r = table_send(s, u);
                if (r < 0)
                        return r;
        }
        if (channel != CHANNEL_DATA)
                return 0;
        if (!u->laden && u->old_lost == 0)
                u->laden_since = s->now.now;
        u->laden = false;
        u->old_data = true;
        u->old_lost = s->now.now;
        order_suspend(u);
        u->knock_due = s->now.now + KNOCK_INTERVAL;
        session_need(s, u->knock_due);
        if (u->behind_since_wall != 0 && u->behind_since_wall <= u->lost_doubt[channel])
                return 0;
        u->behind_since_wall = u->lost_doubt[channel];
        return journal_user(s, u);
}

/* Only whoever has a command connection is there: what else is heard may be left of a Blender that has crashed. */
static void count_kept(Session *s, User *u, Channel channel)
{
        if (!u->uncounted || channel != CHANNEL_COMMAND)
                return;
        u->uncounted = false;
        s->n_kept++;
}

/* All that went over an earlier data connection has been read from it, but perhaps not been handled. */
static void old_data_read(Session *s, User *u)
{
        /* What this server has sent it has counted. */
        if (u->old_lost == 0)
                pace_doubt(u->pace, s->now.now);
        u->old_data = false;
        u->old_lost = 0;
        pace_note_found(u->pace, s->now.now);
        order_drained(s, u);
}

static void check_old_data(Session *s, User *u)
{
        if (!u->old_data || u->old_lost == 0)
                return;
        if (u->delivered_until >= u->old_lost) {
                old_data_read(s, u);
                return;
        }
        /* Nothing is on its way that could tell: there may be no node to send. */
        if (u->laden || user_is_queued(u))
                return;
        session_need(s, u->old_lost + DOUBT_WINDOW);
        if (s->now.now - u->old_lost >= DOUBT_WINDOW)
                old_data_read(s, u);
}

int presence_found(Session *s, User *u, Channel channel)
{
        count_kept(s, u, channel);
        if (u->away)
                return channel == CHANNEL_COMMAND ? user_is_back(s, u, channel) : 0;
        if (channel == CHANNEL_DATA && u->old_data && u->old_lost == 0)
                old_data_read(s, u);
        if (!u->lost[channel])
                return 0;
        u->lost[channel] = false;
        if (channel == CHANNEL_COMMAND)
                pace_note_found(u->pace, s->now.now);
        if (channel != CHANNEL_TTL)
                begin_return(s, u, u->lost_doubt[channel]);
        return 0;
}

static void note_line(const Session *s, User *u)
{
        uint64_t said = MAX(u->data_heard, u->silent_since), silent = s->now.now - MAX(u->ttl_heard, said);
        if (u->ttl_heard == 0 || silent < LINE_SILENCE)
                return;
        u->line_back = s->now.now;
        u->line_still = silent;
}

static void presence_wakes_up(const Session *s, User *u)
{
        u->heard_before = MAX(u->data_heard, u->command_heard);
        u->awake_since = s->now.now;
}

int presence_heard(Session *s, User *u, Channel channel)
{
        note_line(s, u);
        count_kept(s, u, channel);
        if (channel != CHANNEL_TTL && s->now.now - MAX(u->data_heard, u->silent_since) >= STALL_SILENCE)
                presence_wakes_up(s, u);
        if (channel == CHANNEL_DATA)
                u->data_heard = s->now.now;
        else if (channel == CHANNEL_COMMAND)
                u->silent_since = u->command_heard = s->now.now;
        if (u->away)
                return channel == CHANNEL_DATA ? 0 : user_is_back(s, u, channel);
        return presence_found(s, u, channel);
}

/* ---- heartbeat ---- */

static int send_ping(Session *s, User *u)
{
        u->ping_sent = s->now.now;
        heartbeat_ping(&u->heartbeat, s->now.now);
        return emit_ping(s, &u->id, true);
}

static int ping_guest(Session *s, Guest *g)
{
        g->ping_sent = s->now.now;
        heartbeat_ping(&g->heartbeat, s->now.now);
        return emit_ping(s, &g->id, false);
}

static int guest_ttl(Session *s, const RoutingId *from, const char *address, bool is_init)
{
        Guest *g = guest_find(s, from);
        uint64_t usec;
        if (!is_init) {
                if (g)
                        (void)heartbeat_pong(&g->heartbeat, s->now.now, &usec);
                return g ? 0 : session_malformed(s, NULL, address, "is a heartbeat of nobody known");
        }
        if (!g)
                g = guest_add(s, from);
        if (g->left)
                return 0;
        g->has_ttl = true;
        heartbeat_found(&g->heartbeat, s->now.now);
        heartbeat_begun(&g->heartbeat);
        return ping_guest(s, g);
}

int presence_ttl(Session *s, const RoutingId *from, User *u, const char *address, Bytes *const *frames, size_t n_frames)
{
        bool is_init = n_frames == 1 && bytes_equal_string(frames[0], "INIT");
        if (!is_init && (n_frames != 1 || !bytes_equal_string(frames[0], "PONG")))
                return session_malformed(s, u, address, "is no heartbeat");
        if (!u)
                return guest_ttl(s, from, address, is_init);
        note_line(s, u);
        u->has_ttl = true;
        u->ttl_heard = s->now.now;
        /* When it is heard before its connection is known of, nothing tells when the PING went over that. */
        uint64_t usec = 0;
        bool known = u->heartbeat.connected;
        heartbeat_found(&u->heartbeat, s->now.now);
        bool measured = !is_init && heartbeat_pong(&u->heartbeat, s->now.now, &usec) && known;
        if (s->loading)
                return 0;
        int r = presence_heard(s, u, CHANNEL_TTL);
        if (r < 0)
                return r;
        if (is_init) {
                heartbeat_begun(&u->heartbeat);
                return send_ping(s, u);
        }
        if (measured) {
                user_add_round_trip(u, (uint32_t)MIN(usec, ROUND_TRIP_MAX));
                table_note_latency(s, u);
        }
        return 0;
}

/* ---- time ---- */

/* Why the user has to go; NULL: it has not. */
static const char *overdue(Session *s, const User *u)
{
        uint64_t now = s->now.now;
        if (u->away) {
                session_need(s, u->away_since + s->config.timeout_usec);
                return now - u->away_since >= s->config.timeout_usec ? "it has not come back after the restart" : NULL;
        }
        if (u->lost[CHANNEL_COMMAND]) {
                session_need(s, u->lost_since + s->config.reconnect_grace_usec);
                if (now - u->lost_since >= s->config.reconnect_grace_usec)
                        return "its connection is gone";
        }
        if (!u->has_ttl)
                return NULL;
        session_need(s, u->ttl_heard + s->config.timeout_usec);
        return now - u->ttl_heard >= s->config.timeout_usec ? "it has fallen silent" : NULL;
}

/* A heartbeat says INIT once, be it to a server that is about to be restarted: one who has logged in and was not heard
 * gets its PINGs all the same, for as long as a client waits. */
static bool is_sought(Session *s, const User *u)
{
        if (u->login == 0 || s->now.now - u->login >= UNHEARD_MAX)
                return false;
        if (s->now.now - u->login >= UNHEARD_WAIT)
                return true;
        session_need(s, u->login + UNHEARD_WAIT);
        return false;
}

/* Everybody's PINGs go out together, and so their PONGs come: on the beat, be it earlier than after the interval. */
static uint64_t ping_due(uint64_t sent, uint64_t interval, uint64_t beat)
{
        return clock_next_beat(sent + interval - beat, beat);
}

static int tick_ping(Session *s, User *u)
{
        if (!u->has_ttl && !u->from_before && !is_sought(s, u))
                return 0;
        bool seeking = !u->has_ttl && (s->loading || s->now.now - u->away_since < s->config.timeout_usec);
        uint64_t beat = seeking ? PING_INTERVAL_AWAY : PING_INTERVAL;
        uint64_t interval = heartbeat_interval(&u->heartbeat, s->now.now, beat);
        if (u->ping_sent == 0 || s->now.now >= ping_due(u->ping_sent, interval, beat)) {
                int r = u->opened ? 0 : emit_open(s, u);
                if (r == 0)
                        r = send_ping(s, u);
                if (r < 0)
                        return r;
        }
        session_need(s, ping_due(u->ping_sent, interval, beat));
        return 0;
}

/* What waits in the outbox of a process that is killed would be forgotten, when it has waited for long. */
static int tick_queue(Session *s, User *u)
{
        if (!user_is_queued(u) || u->behind_since_wall != 0)
                return 0;
        if (s->now.now - u->queued_since < QUEUE_NOTED) {
                session_need(s, u->queued_since + QUEUE_NOTED);
                return 0;
        }
        u->behind_since_wall = presence_doubt_wall(s, u);
        return journal_user(s, u);
}

/* A client that says nothing is found by what reaches it. What it was sent before may have gone into a connection that is
 * no more, and nothing else may be due for a long time. Where the connection stands already, only asking tells. */
static int knock_command(Session *s, User *u)
{
        if (!u->lost[CHANNEL_COMMAND])
                return 0;
        int r = 0;
        if (s->now.now >= u->command_knock_due) {
                u->command_knock_due = s->now.now + COMMAND_KNOCK_INTERVAL;
                r = table_send(s, u);
                if (r == 0)
                        r = emit_open(s, u);
        }
        session_need(s, u->command_knock_due);
        return r;
}

static int tick_user(Session *s, User *u)
{
        int r = tick_ping(s, u);
        if (r < 0 || s->loading || u->away)
                return r;
        check_old_data(s, u);
        r = knock_command(s, u);
        if (r == 0)
                r = check_returning(s, u);
        if (r == 0 && u->maybe_stuck && !u->returning) {
                if (s->now.now - u->silent_since >= STUCK_WAIT && u->unproved)
                        return login_kick(s, u, "the server was restarted while you filled the session; join it again");
                if (s->now.now - u->silent_since >= STUCK_WAIT)
                        r = join_retry(s, u);
                else
                        session_need(s, u->silent_since + STUCK_WAIT);
        }
        if (r == 0 && u->unproved && !u->from_before && u->data_from <= s->now.now)
                r = init_proved(s, u);
        if (r == 0)
                r = order_send_due(s, u);
        if (r == 0)
                r = stale_send(s, u);
        if (r == 0)
                r = stale_tell_lag(s, u);
        if (r == 0)
                r = stale_knock(s, u);
        if (r == 0)
                r = tick_queue(s, u);
        if (r == 0)
                r = metadata_flush(s, u);
        if (r == 0 && u->owes_table && !u->refused) {
                u->owes_table = false;
                r = table_send(s, u);
        }
        return r;
}

static int tick_guests(Session *s)
{
        while (s->n_guests > 0 && s->guests[s->first_guest].until <= s->now.now) {
                s->first_guest = (s->first_guest + 1) % GUESTS_MAX;
                s->n_guests--;
        }
        for (size_t i = 0; i < s->n_guests; i++) {
                Guest *g = &s->guests[(s->first_guest + i) % GUESTS_MAX];
                if (!g->has_ttl || g->left || g->until <= s->now.now)
                        continue;
                if (s->now.now >= clock_next_beat(g->ping_sent, PING_INTERVAL)) {
                        int r = ping_guest(s, g);
                        if (r < 0)
                                return r;
                }
                session_need(s, clock_next_beat(g->ping_sent, PING_INTERVAL));
        }
        return 0;
}

/* What has been heard since the gap stays as it is: a time to come would count as one long past. */
static uint64_t put_off(const Session *s, uint64_t since, uint64_t gap)
{
        return MIN(since + gap, s->now.now);
}

/* Time in which nobody was listened to does not count against anybody, nor that in which nobody could be sought. */
static void forgive_gap(Session *s)
{
        uint64_t gap = s->last_tick != 0 ? s->now.now - s->last_tick : 0;
        s->last_tick = s->now.now;
        bool listened = gap < TICK_GAP;
        if (listened && !s->sends_wait)
                return;
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (!listened)
                        u->ttl_heard = put_off(s, u->ttl_heard, gap);
                u->lost_since = put_off(s, u->lost_since, gap);
                u->away_since = put_off(s, u->away_since, gap);
        }
}

/* Notes of what was sent long ago. There may be one for each node and user, so not in every turn. */
static void expire_notes(Session *s)
{
        if (s->notes_expired + USEC_PER_SEC > s->now.now)
                return;
        s->notes_expired = s->now.now;
        for (size_t i = 0; i < s->n_users; i++)
                stale_expire(s, s->users[i]);
        uint64_t settled = presence_settled_wall(s);
        for (const U64MapEntry *e = u64_map_next(&s->recent_rights, NULL); e;)
                e = e->value < settled ? u64_map_take(&s->recent_rights, e) : u64_map_next(&s->recent_rights, e);
}

/* What they lack comes after a time that has not come yet, when somebody has set back the clock. */
static int check_behind(Session *s)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < s->n_users; i++) {
                User *u = s->users[i];
                if (u->behind_since_wall <= s->now.wall)
                        continue;
                u->behind_since_wall = s->now.wall;
                r = journal_user(s, u);
        }
        return r;
}

int presence_tick(Session *s)
{
        int behind = s->loading ? 0 : check_behind(s);
        if (behind < 0)
                return behind;
        forgive_gap(s);
        for (size_t i = 0; i < s->n_users;) {
                User *u = s->users[i];
                const char *reason = s->loading ? NULL : overdue(s, u);
                int r = reason ? login_leave(s, u, reason) : tick_user(s, u);
                if (r < 0)
                        return r;
                if (!reason)
                        i++;
        }
        if (s->loading)
                return 0;
        grave_expire(s);
        expire_notes(s);
        stale_expire_changes(s);
        return tick_guests(s);
}
