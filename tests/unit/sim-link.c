/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the network side tells of a client's connections: that one is lost, and what has arrived. */
#include "sim-private.h"
#include "test.h"

void sim_lose(SimClient *c, Channel channel)
{
        EffectList effects = {};
        c->told[channel] = c->pending[channel] = false;
        if (channel == CHANNEL_DATA)
                c->laden = false;
        if (c->sim->up)
                assert_int_equal(session_peer_lost(c->sim->session, sim_time(c->sim), channel, &c->id, &effects), 0);
        sim_execute(c->sim, &effects);
        effect_list_done(&effects);
}

void sim_note_laden(SimClient *c)
{
        SimQueue *q = &c->down[CHANNEL_DATA];
        q->packets[q->n - 1].laden = c->sim->now;
        c->laden = true;
        session_send_laden(c->sim->session, sim_time(c->sim), &c->id);
}

/* What the kernel tells of data that has arrived, read or not. */
void sim_tell_deliveries(Sim *sim)
{
        for (size_t i = 0; i < sim->n_clients; i++) {
                SimClient *c = &sim->clients[i];
                if (!c->laden || !c->has_outbox || !c->told[CHANNEL_DATA])
                        continue;
                uint64_t until = sim->now;
                const SimQueue *q = &c->down[CHANNEL_DATA];
                for (size_t j = 0; j < q->n && until == sim->now; j++)
                        if (q->packets[j].arrives > sim->now && q->packets[j].laden != 0)
                                until = q->packets[j].laden - 1;
                if (until <= c->delivered_until)
                        continue;
                c->delivered_until = until;
                c->laden = until < sim->now;
                session_delivered(sim->session, sim_time(sim), &c->id, until, !c->laden);
        }
}
