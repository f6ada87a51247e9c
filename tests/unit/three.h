/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Three clients in a running session of two nodes, "a" and "b". */

#include "sim-private.h"
#include "test.h"

typedef struct Three {
        Sim sim;
        SimClient *host, *anna, *bert;
} Three;

static inline void setup(Three *t)
{
        sim_init(&t->sim, 11);
        t->host = sim_client(&t->sim, "host", true);
        sim_enter(t->host);
        sim_add_local(t->host, "a", "COMMON");
        sim_add_local(t->host, "b", "COMMON");
        sim_init_session(t->host);
        sim_run(&t->sim, SIM_SEC);
        t->anna = sim_client(&t->sim, "anna", false);
        t->bert = sim_client(&t->sim, "bert", false);
        sim_enter(t->anna);
        sim_enter(t->bert);
        sim_run(&t->sim, 3 * SIM_SEC);
}

static inline void done(Three *t)
{
        for (size_t i = 0; i < t->sim.n_clients; i++)
                assert_false(t->sim.clients[i].raised);
        assert_null(sim_compare(&t->sim));
        sim_done(&t->sim);
}

static inline bool owner_is(const SimClient *c, const char *uuid, const char *owner)
{
        return bytes_equal_string(sim_find_text(c, uuid)->owner, owner);
}
