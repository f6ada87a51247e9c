/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/macros.h"

/* The name of a connection on a ROUTER socket. Stock clients use the 16 bytes of a random UUID on all
 * three channels; peers that set none get 5 bytes made by libzmq. Longer ones are refused at the socket. */
#define ROUTING_ID_SIZE_MAX 31

typedef struct RoutingId {
        uint8_t size;
        uint8_t bytes[ROUTING_ID_SIZE_MAX];
} RoutingId;

static inline bool routing_id_equal(const RoutingId *a, const RoutingId *b)
{
        return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}
