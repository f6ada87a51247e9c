/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The handler that libzmq asks about every handshake (ZeroMQ RFC 27, ZAP 1.0;
 * with the NULL mechanism only for sockets that have a ZMQ_ZAP_DOMAIN). It says
 * who may connect, and gives each connection a serial that all its messages
 * carry as property ZAP_SERIAL.
 */

#include <zmq.h>

#include "base/macros.h"

#define ZAP_SERIAL "Serial"

typedef struct Zap {
        void *socket; /* REP */
        uint64_t last_serial;
} Zap;

/* Whether the address (as libzmq writes it) may connect. Who may not is told nothing and loses the connection when the
 * time for the handshake is over: status 300. Told so (400), a libzmq client would give up for good, even one that
 * lost its connection by accident and shares its address with the culprit. */
typedef bool (*ZapAdmit)(void *userdata, const char *address);

/* Must come before any socket of the context is bound. Returns 0 or -errno. */
int zap_init(Zap *z, void *context);
void zap_done(Zap *z);
int zap_fd(const Zap *z); /* edge-triggered; -errno on failure */

/* Answers up to `budget` requests; returns how many there were. */
unsigned zap_answer(Zap *z, unsigned budget, ZapAdmit admit, void *userdata);

/* The serial of the connection a message came from; 0 when it has none. */
uint64_t zap_serial_of(const zmq_msg_t *m);
