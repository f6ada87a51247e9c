/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* IP addresses without ports. IPv4 is kept mapped into IPv6 (RFC 4291, 2.5.5.2), so that both are one type. */

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/macros.h"

#define ADDRESS_TEXT_MAX INET6_ADDRSTRLEN

typedef struct Address {
        uint8_t bytes[16];
} Address;

/* An IPv4 or IPv6 address; a scope ("%eth0") is ignored. Returns 0 or -EINVAL. */
int address_parse(const char *text, Address *ret);

/* The peer of a connected socket. Returns 0 or -errno; -EAFNOSUPPORT for one that is not IP. */
int address_of_peer(int fd, Address *ret);

/* The port at this end; 0 when it is no IP socket. */
uint16_t address_local_port(int fd);

/* Mapped IPv4 is written as IPv4; returns text. */
const char *address_format(const Address *a, char text[static ADDRESS_TEXT_MAX]);

/* What is counted together: one IPv4 address, or the /64 that one IPv6 host has for itself. */
Address address_network(const Address *a);

/* Copies a text of at most that size; longer ones are cut. */
const char *address_text_copy(char text[static ADDRESS_TEXT_MAX], const char *from);

static inline bool address_equal(const Address *a, const Address *b)
{
        return __builtin_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

typedef struct AddressPrefix {
        Address address;
        unsigned n_bits; /* of the 128 */
} AddressPrefix;

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". Returns 0 or -EINVAL. */
int address_prefix_parse(const char *text, AddressPrefix *ret);
bool address_prefix_contains(const AddressPrefix *p, const Address *a);
