/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool address_is_ipv4(const Address *a)
{
        return memcmp(a->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static Address address_from_ipv4(const struct in_addr *in)
{
        Address a;
        memcpy(a.bytes, mapped_prefix, sizeof mapped_prefix);
        memcpy(a.bytes + sizeof mapped_prefix, in, sizeof *in);
        return a;
}

int address_parse(const char *text, Address *ret)
{
        char plain[ADDRESS_TEXT_MAX];
        size_t n = strcspn(text, "%");
        if (n >= sizeof plain)
                return -EINVAL;
        memcpy(plain, text, n);
        plain[n] = '\0';

        struct in_addr in;
        if (inet_pton(AF_INET, plain, &in) == 1) {
                *ret = address_from_ipv4(&in);
                return 0;
        }
        Address a;
        if (inet_pton(AF_INET6, plain, a.bytes) != 1)
                return -EINVAL;
        *ret = a;
        return 0;
}

int address_of_peer(int fd, Address *ret)
{
        struct sockaddr_storage ss;
        socklen_t n = sizeof ss;
        if (getpeername(fd, (struct sockaddr *)&ss, &n) < 0)
                return -errno;
        if (ss.ss_family == AF_INET) {
                *ret = address_from_ipv4(&((struct sockaddr_in *)&ss)->sin_addr);
                return 0;
        }
        if (ss.ss_family != AF_INET6)
                return -EAFNOSUPPORT;
        memcpy(ret->bytes, &((struct sockaddr_in6 *)&ss)->sin6_addr, sizeof ret->bytes);
        return 0;
}

uint16_t address_local_port(int fd)
{
        struct sockaddr_storage ss;
        socklen_t n = sizeof ss;
        if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0)
                return 0;
        if (ss.ss_family == AF_INET)
                return ntohs(((struct sockaddr_in *)&ss)->sin_port);
        return ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&ss)->sin6_port) : 0;
}

const char *address_format(const Address *a, char text[static ADDRESS_TEXT_MAX])
{
        if (address_is_ipv4(a))
                inet_ntop(AF_INET, a->bytes + sizeof mapped_prefix, text, ADDRESS_TEXT_MAX);
        else
                inet_ntop(AF_INET6, a->bytes, text, ADDRESS_TEXT_MAX);
        return text;
}

const char *address_text_copy(char text[static ADDRESS_TEXT_MAX], const char *from)
{
        snprintf(text, ADDRESS_TEXT_MAX, "%s", from);
        return text;
}

Address address_network(const Address *a)
{
        Address network = *a;
        if (!address_is_ipv4(a))
                memset(network.bytes + 8, 0, 8);
        return network;
}

int address_prefix_parse(const char *text, AddressPrefix *ret)
{
        char plain[ADDRESS_TEXT_MAX];
        size_t n = strcspn(text, "/");
        if (n >= sizeof plain)
                return -EINVAL;
        memcpy(plain, text, n);
        plain[n] = '\0';

        AddressPrefix p = { .n_bits = 128 };
        int r = address_parse(plain, &p.address);
        if (r < 0)
                return r;
        if (text[n] == '/') {
                unsigned bits, width = address_is_ipv4(&p.address) ? 32 : 128;
                int end = 0;
                if (sscanf(text + n, "/%3u%n", &bits, &end) != 1 || text[n + end] != '\0' || bits > width)
                        return -EINVAL;
                p.n_bits = 128 - width + bits;
        }
        *ret = p;
        return 0;
}

bool address_prefix_contains(const AddressPrefix *p, const Address *a)
{
        unsigned whole = p->n_bits / 8, rest = p->n_bits % 8;
        if (memcmp(p->address.bytes, a->bytes, whole) != 0)
                return false;
        if (rest == 0)
                return true;
        uint8_t mask = 0xff << (8 - rest);
        return ((p->address.bytes[whole] ^ a->bytes[whole]) & mask) == 0;
}
