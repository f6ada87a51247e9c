/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Between sim.c, sim-client.c and sim-log.c. */

#include "pickle/value.h"
#include "sim.h"

uint64_t sim_arrival(Sim *sim); /* of a packet that is sent now */
void sim_queue_push(SimQueue *q, uint64_t arrives, Frames *frames); /* takes the reference */
Frames *sim_queue_pop(SimQueue *q);
void sim_queue_clear(SimQueue *q);

Value *sim_load(Bytes *b);
Value *sim_put(Value *dict, const char *key, Value *value); /* takes value, returns dict */
Frames *sim_node_frames(const SimNode *n);
SimNode *sim_add_node(SimClient *c, Bytes *uuid, Bytes *owner, Value *data, Value *dependencies); /* takes all */

/* Fails unless the message of an EFFECT_LOG has what the catalog names in the entry for its event. */
void sim_check_log(const Effect *e);

/* The client's newest packet is SEND_BULK of this server. */
void sim_note_laden(SimClient *c);
/* Tells the session what of that has arrived, as the kernel does whether it is read or not. */
void sim_tell_deliveries(Sim *sim);

void sim_raise(SimClient *c, const char *what);
void sim_client_clear(SimClient *c);
void sim_client_command(SimClient *c, Frames *f);
void sim_client_data(SimClient *c, Frames *f);
void sim_send_init_nodes(SimClient *c);
