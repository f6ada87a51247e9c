/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What connections may take that no user has spoken over: places, and memory.
 *
 * libzmq reads whatever comes, and keeps an unfinished message without any
 * limit but that of each frame. What TCP has received on a connection beyond
 * what has been handed on as whole messages is held by libzmq, and it may take
 * far more memory there: an empty frame is two bytes on the wire and 64 in a
 * queue. So strangers share two megabytes of it, and are looked at often as
 * long as there are any.
 *
 * A user's data channel may never have spoken, and begin with a packed file of
 * hundreds of megabytes. As many connections as could be such ones (from the
 * user's address, or from anywhere while that is not known after a restart)
 * may hold as much as a user; the eldest are taken for them.
 */

#include "net/net-private.h"

/* Bytes on the wire. The first is more than a login takes, the second what all strangers hold together. */
#define HELD_MAX_STRANGER (1024 * 1024)
#define HELD_MAX_STRANGERS (2 * 1024 * 1024)
#define HELD_SLACK_USER (64 * 1024 * 1024)

/* So long a connection may be silent, however many want its place. So many are looked at for one that can go, and one that
 * cannot is not looked at again for a while. */
#define ROOM_AGE USEC_PER_SEC
#define ROOM_TRIES 16u
#define SPARED_USEC (10 * USEC_PER_SEC)
#define ZMTP_GREETING_SIZE 64u /* ZMTP 3.1, section 3.1 */

#define PENALTY_HOARDING 10

bool net_is_users(const Net *n, const Connection *c)
{
        const Peer *p = c->has_id ? peer_table_find(&n->peers, &c->id) : NULL;
        return p && !p->closing;
}

static bool is_at(const Peer *p, const Connection *c)
{
        return !p->closing && p->has_address && address_equal(&p->address, &c->address);
}

/* ---- memory ---- */

/* Users to whom the connection could belong, which has not spoken yet. */
static unsigned count_owners(const Net *n, const Connection *c)
{
        unsigned owners = 0;
        for (const Peer *p = n->peers.first; p; p = p->next)
                owners += !p->closing && p->box[c->channel].serial == 0 && net_may_be_from(c, p);
        return owners;
}

/* Silent connections that are taken for a user's rather than this one. */
static unsigned count_elders(const Net *n, const Connection *c)
{
        unsigned elders = 0;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                const Connection *other = n->connections.by_fd[i];
                if (other && other != c && !other->has_id && other->channel == c->channel && other->held > HELD_MAX_STRANGER &&
                    other->state != CONNECTION_REFUSED && other->accepted_at <= c->accepted_at)
                        elders += address_equal(&other->address, &c->address);
        }
        return elders;
}

static bool may_be_users(const Net *n, const Connection *c)
{
        if (net_is_users(n, c))
                return true;
        if (c->has_id || !c->is_ip)
                return false;
        unsigned owners = count_owners(n, c);
        return owners > 0 && (c->held <= HELD_MAX_STRANGER || count_elders(n, c) < owners);
}

void net_cut_hoarder(Net *n, Connection *c, bool guilty)
{
        net_refuse(c);
        net_report_bad(n, c, NET_BAD_HOARDING, guilty ? PENALTY_HOARDING : 0);
}

static void cut(Net *n, Connection *c)
{
        /* Who was a user a moment ago may be in the middle of something large; and little bits of many add up. */
        net_cut_hoarder(n, c, !c->was_users && c->held > HELD_MAX_STRANGER / 16);
}

static bool holds_too_much(const Net *n, const Connection *c)
{
        if (c->is_strangers || c->channel == CHANNEL_TTL)
                return c->held > HELD_MAX_STRANGER;
        /* While nobody reads, whole messages are held as well. */
        return n->channel[c->channel].n_paused == 0 && c->held > 2 * (uint64_t)n->max_message_size + HELD_SLACK_USER;
}

void net_look_at(const Net *n, Connection *c)
{
        c->held = connection_bytes_held(c);
        c->is_strangers = !may_be_users(n, c);
        c->was_users = c->was_users || !c->is_strangers;
}

static Connection *largest_stranger(const Net *n, uint64_t *ret_sum)
{
        Connection *largest = NULL;
        *ret_sum = 0;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c || !c->is_strangers || c->state == CONNECTION_REFUSED)
                        continue;
                *ret_sum += c->held;
                if (!largest || c->held > largest->held)
                        largest = c;
        }
        return largest;
}

void net_check_strangers(Net *n)
{
        bool some = false;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c || c->state == CONNECTION_REFUSED)
                        continue;
                net_look_at(n, c);
                if (holds_too_much(n, c))
                        cut(n, c);
                else
                        some = some || c->is_strangers;
        }
        uint64_t sum;
        for (Connection *c; (c = largest_stranger(n, &sum)) && sum > HELD_MAX_STRANGERS;)
                cut(n, c);
        if (some)
                net_arm_strangers(n);
}

/* ---- places ---- */

static bool may_give_way(const Net *n, const Connection *c, uint64_t now)
{
        return c->state != CONNECTION_REFUSED && now - c->accepted_at >= ROOM_AGE && c->spared_until <= now &&
               !net_is_users(n, c);
}

static bool is_speechless(const Connection *c)
{
        return c->state <= CONNECTION_MAYBE && !c->has_id && !c->has_greeted;
}

static Connection *oldest(const Net *n, bool speechless, uint64_t now)
{
        Connection *oldest = NULL;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (c && (!speechless || is_speechless(c)) && (!oldest || c->accepted_at < oldest->accepted_at) &&
                    may_give_way(n, c, now))
                        oldest = c;
        }
        return oldest;
}

/* A user who has not said anything yet on some channel is no stranger. */
static bool is_spared(const Net *n, Connection *c, bool speechless, uint64_t now)
{
        if (speechless) {
                c->has_greeted = connection_bytes_received(c) >= ZMTP_GREETING_SIZE;
                return c->has_greeted;
        }
        bool spared = false;
        for (const Peer *p = n->peers.first; p && !c->has_id; p = p->next)
                spared = spared || is_at(p, c);
        c->spared_until = spared ? now + SPARED_USEC : 0;
        return spared;
}

static bool make_room(Net *n, bool speechless, uint64_t now)
{
        Connection *c;
        for (unsigned i = 0; i < ROOM_TRIES && (c = oldest(n, speechless, now)); i++) {
                if (is_spared(n, c, speechless, now))
                        continue;
                net_refuse(c);
                net_report_bad(n, c, NET_BAD_TOO_MANY, 0);
                return true;
        }
        return false;
}

bool net_make_room(Net *n, uint64_t now)
{
        return make_room(n, true, now) || make_room(n, false, now);
}
