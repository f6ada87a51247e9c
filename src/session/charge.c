/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* What a record takes beside what was sent. */
#define RECORD_OVERHEAD 256u

/* While the disk takes less than comes in, whoever has sent more than this of late waits first, for so long each time. */
#define BUSY_BYTES (16u << 20)
#define BUSY_WAIT (250 * USEC_PER_MSEC)

/* While others work, what a user has cost fades at a second in so many. What is over the first is waited for; whoever goes on
 * has sent more than it can take back, and the second is the end. */
#define WORK_FADE 2u
#define WORK_BURST (1 * USEC_PER_SEC)
#define WORK_MAX (5 * USEC_PER_SEC)
#define WORK_PENALTY 5

/* What comes after somebody was told to wait was on its way already, and prolongs it; not by every message. */
#define HOLD_STEP (50 * USEC_PER_MSEC)

#define TELL_INTERVAL (60 * USEC_PER_SEC)

/* So long after its last message somebody counts as one who works, to whom the others leave room. */
#define WORK_WINDOW (10 * USEC_PER_SEC)

void session_set_disk(Session *s, bool busy, uint64_t bytes)
{
        s->disk_busy = busy;
        s->disk_rate = bytes;
}

/* Steps of an init or a join go to nobody else, and a scene may be large: they are what the client is there for. */
static bool is_transfer(const User *u, MessageType type)
{
        return (type == MESSAGE_SERVER_SNAPSHOT && u->initiating) ||
               (type == MESSAGE_SNAPSHOT && u->status != USER_ACTIVE);
}

static void note_sender(Session *s, const User *u)
{
        if (s->senders[0].serial != u->serial)
                s->senders[1] = s->senders[0];
        s->senders[0] = (Sender){ .serial = u->serial, .at = s->now.now };
}

/* Has anybody else sent something of late? */
static bool others_work(const Session *s, const User *u)
{
        const Sender *other = &s->senders[s->senders[0].serial == u->serial];
        return other->serial != 0 && s->now.now - other->at < WORK_WINDOW;
}

static BudgetRate rate_of(const Session *s, const User *u, bool transfer)
{
        BudgetRate rate = transfer || !others_work(s, u) ? (BudgetRate){ 0 } : s->config.rate;
        if (s->disk_rate > 0)
                rate.bytes = rate.bytes > 0 ? MIN(rate.bytes, s->disk_rate) : s->disk_rate;
        return rate;
}

static const char *limit_of(const Session *s)
{
        return s->disk_rate > 0 ? "the almost full disk allows" :
               s->disk_busy     ? "the disk takes it" :
                                  "max_client_rate or max_client_messages allow";
}

/* limit: what it sends faster than. */
static int hold(Session *s, User *u, Channel channel, uint64_t wait, const char *limit)
{
        uint64_t now = s->now.now, until = now + wait, *held_until = &u->sends[channel].held_until;
        if (until < *held_until + HOLD_STEP)
                return 0;
        bool begins = *held_until <= now;
        u->held_usec += until - MAX(*held_until, now);
        *held_until = until;
        s->n_held += begins;
        Effect *e = effect_list_push(s->effects, EFFECT_HOLD);
        if (!e)
                return -ENOMEM;
        e->hold.peer = u->id;
        e->hold.channel = channel;
        e->hold.until = until;
        if (u->held_told != 0 && now - u->held_told < TELL_INTERVAL)
                return 0;
        u->held_told = now;
        return emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_HELD, u, NULL,
                        "%s sends faster than %s and is held back; what it sends comes later, and nothing is lost.",
                        (const char *)u->name->data, limit);
}

int charge_message(Session *s, User *u, Channel channel, Bytes *const *frames, size_t n_frames)
{
        uint64_t bytes = RECORD_OVERHEAD;
        n_frames = MIN(n_frames, (size_t)FRAMES_MAX);
        for (size_t i = 0; i < n_frames; i++)
                bytes += frames[i]->size;
        s->bytes_received += bytes;
        bool transfer = channel == CHANNEL_COMMAND && is_transfer(u, message_peek_type(frames, n_frames));
        if (!transfer) {
                note_sender(s, u);
                user_add_received(u, s->now.now, bytes);
        }
        BudgetRate rate = rate_of(s, u, transfer);
        Budget *budget = &u->sends[channel].budget;
        uint64_t wait = budget_charge(budget, &rate, s->now.now, bytes);
        if (s->disk_busy && !transfer && budget->bytes > BUSY_BYTES)
                wait = MAX(wait, BUSY_WAIT);
        return wait > 0 ? hold(s, u, channel, wait, limit_of(s)) : 0;
}

int session_charge_work(Session *s, SessionTime t, const RoutingId *from, uint64_t usec, EffectList *effects)
{
        session_enter(s, t, effects);
        User *u = session_find_user(s, from);
        if (!u)
                return session_leave(s, 0);
        uint64_t faded = (t.now - u->worked_at) / WORK_FADE;
        u->work = (u->work > faded ? u->work - faded : 0) + usec;
        u->worked_at = t.now;
        if (!others_work(s, u))
                u->work = MIN(u->work, WORK_BURST);
        int r = 0;
        if (u->work > WORK_MAX) {
                r = emit_penalty(s, u->address ?: "", WORK_PENALTY);
                return session_leave(s, r < 0 ? r : login_kick(s, u, "what you send takes the server's time from all others"));
        }
        for (Channel c = 0; r == 0 && u->work > WORK_BURST && c < CHANNEL_TTL; c++)
                r = hold(s, u, c, MIN((u->work - WORK_BURST) * WORK_FADE, BUDGET_WAIT_MAX), "it can be carried out");
        return session_leave(s, r);
}

bool charge_holds(const Session *s, const User *u)
{
        return u->sends[CHANNEL_COMMAND].held_until > s->now.now || u->sends[CHANNEL_DATA].held_until > s->now.now;
}

uint64_t session_bytes_received(const Session *s)
{
        return s->bytes_received;
}

bool session_heaviest(const Session *s, SessionTime t, SessionHeaviest *ret)
{
        const User *heaviest = NULL;
        uint64_t most = 0, sum = 0;
        for (size_t i = 0; i < s->n_users; i++) {
                uint64_t bytes = user_received(s->users[i], t.now);
                sum += bytes;
                if (bytes <= most)
                        continue;
                most = bytes;
                heaviest = s->users[i];
        }
        if (!heaviest)
                return false;
        *ret = (SessionHeaviest){
                .id = heaviest->id, .name = (const char *)heaviest->name->data, .address = heaviest->address ?: "",
                .bytes = most, .others = sum - most,
        };
        return true;
}
