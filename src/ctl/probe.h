/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A session server as a client sees it from outside: three TCP ports that speak ZMTP, and an answer to the question
 * that the add-on's server list asks. Nothing is logged in, nothing needs a password. */

#include <stdint.h>

#include "base/macros.h"

typedef enum ProbeResult {
        PROBE_OK,
        PROBE_NO_ADDRESS,  /* the name does not resolve */
        PROBE_REFUSED,     /* the machine is there, nothing listens on the port */
        PROBE_TIMEOUT,     /* nothing came back */
        PROBE_UNREACHABLE, /* no route */
        PROBE_SILENT,      /* accepts connections, says nothing */
        PROBE_FOREIGN,     /* speaks something else than ZMTP 3 */
        PROBE_ERROR,       /* see error */
} ProbeResult;

typedef struct PortProbe {
        ProbeResult result;
        int error;             /* errno, or with PROBE_NO_ADDRESS the code of getaddrinfo() */
        uint64_t connect_usec; /* until the TCP connection stood */
        char address[64];      /* the last one tried, numeric */
} PortProbe;

/* Connects to every address of the host until one answers. */
void probe_port(const char *host, uint16_t port, unsigned timeout_msec, PortProbe *ret);

#define PROBE_VERSION_MAX 32u

typedef struct ServerProbe {
        bool answered;
        bool malformed;       /* it answered with something else than server info */
        bool private;         /* it asks for a password */
        char version[PROBE_VERSION_MAX];
        unsigned n_answers;
        uint64_t round_trip_usec; /* the shortest */
} ServerProbe;

/* Asks for server info a few times. Returns 0 or a negative errno (of our own side). */
int probe_server(const char *host, uint16_t port, unsigned timeout_msec, ServerProbe *ret);
