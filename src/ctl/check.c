/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "base/log.h"
#include "ctl/format.h"
#include "ctl/probe.h"
#include "ctl/verb.h"

static const char *const roles[] = {"command", "data", "ttl"};

static const char *result_word(ProbeResult r)
{
        switch (r) {
        case PROBE_OK:
                return "reachable";
        case PROBE_NO_ADDRESS:
                return "unknown host";
        case PROBE_REFUSED:
                return "nothing listens";
        case PROBE_TIMEOUT:
                return "no answer";
        case PROBE_UNREACHABLE:
                return "no route";
        case PROBE_SILENT:
                return "silent";
        case PROBE_FOREIGN:
                return "something else";
        case PROBE_ERROR:
                break;
        }
        return "error";
}

/* What happened to this port and what to do about it; NULL when memory is short. */
static char *advice(const char *host, unsigned first, unsigned port, const PortProbe *p)
{
        char *text = NULL;
        int n = -1;

        switch (p->result) {
        case PROBE_OK:
                n = asprintf(&text, "%s", "");
                break;
        case PROBE_NO_ADDRESS:
                n = asprintf(&text, "The name %s is not known (%s): check its spelling, or write the server's address.",
                             host, gai_strerror(p->error));
                break;
        case PROBE_REFUSED:
                n = asprintf(&text,
                             "%s is there, but nothing listens on port %u: is the server running (there: systemctl "
                             "status scenekeep.socket), and is %u the first of its ports?",
                             host, port, first);
                break;
        case PROBE_TIMEOUT:
                n = asprintf(&text,
                             "Nothing came back from port %u: a firewall on the way drops it. Open TCP %u-%u on the "
                             "server (ufw allow %u:%u/tcp, or firewall-cmd --add-port=%u-%u/tcp), in the provider's "
                             "firewall, and forward them in the router if it stands behind one.",
                             port, first, first + 2, first, first + 2, first, first + 2);
                break;
        case PROBE_UNREACHABLE:
                n = asprintf(&text, "There is no way to %s (%s): are this machine's network and the VPN up?",
                             p->address, strerror(p->error));
                break;
        case PROBE_SILENT:
                n = asprintf(&text,
                             "Port %u accepts connections but says nothing: the server hangs, or is still starting, or "
                             "something in between answers for it. On the server: journalctl -u scenekeep",
                             port);
                break;
        case PROBE_FOREIGN:
                n = asprintf(&text,
                             "Something else than a session server answers on port %u: find out what with `ss -tlnp` on "
                             "the server, and give the session other ports.",
                             port);
                break;
        case PROBE_ERROR:
                n = asprintf(&text, "Connecting to port %u failed: %s.", port, strerror(p->error));
                break;
        }
        return n < 0 ? NULL : text;
}

static void print_ports(const Ctl *ctl, const char *host, unsigned first, const PortProbe ports[])
{
        for (unsigned i = 0; i < 3; i++) {
                bool ok = ports[i].result == PROBE_OK;
                char took[FORMAT_SIZE_MAX];

                printf("%-8s port %-5u  %s%s%s", roles[i], first + i, ctl->colour ? ok ? "\033[32m" : "\033[31m" : "",
                       result_word(ports[i].result), ctl->colour ? "\033[0m" : "");
                if (ok)
                        printf(" (connected in %s)", format_duration(took, sizeof(took), ports[i].connect_usec));
                putchar('\n');
        }
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_free_ char *text = NULL;
                bool said = ports[i].result == PROBE_OK;

                for (unsigned j = 0; j < i; j++)
                        said = said || ports[j].result == ports[i].result;
                if (said)
                        continue;
                text = advice(host, first, first + i, &ports[i]);
                putchar('\n');
                ctl_wrap(ctl, stdout, text ?: "Out of memory.");
        }
}

static json_object *ports_json(const char *host, unsigned first, const PortProbe ports[])
{
        json_object *list = json_object_new_array();

        for (unsigned i = 0; i < 3; i++) {
                _cleanup_free_ char *text = advice(host, first, first + i, &ports[i]);
                json_object *o = json_object_new_object();

                json_add_text(o, "channel", roles[i]);
                json_add_int(o, "port", first + i);
                json_add_text(o, "result", result_word(ports[i].result));
                json_add_text(o, "address", ports[i].address);
                json_add_int(o, "connect_usec", ports[i].connect_usec);
                json_add_text(o, "advice", text && *text ? text : NULL);
                json_object_array_add(list, o);
        }
        return list;
}

static void print_server(const Ctl *ctl, const ServerProbe *s, bool ports_ok)
{
        _cleanup_free_ char *version = log_escape(s->version, strlen(s->version));
        char took[FORMAT_SIZE_MAX];

        if (s->answered)
                printf("\nA session server answers: version %s, %s.\nRound trip: %s.\n", version ?: "",
                       s->private ? "asks for a password" : "no password needed",
                       format_duration(took, sizeof(took), s->round_trip_usec));
        else if (s->malformed)
                puts("\nWhat answers on the command port is no Multi-User session server: is the port right?");
        else if (ports_ok)
                ctl_wrap(ctl, stdout, "\nThe ports are open but the session server does not answer: on the server, see "
                              "`journalctl -u scenekeep`. Are the three ports in order, and those of one session?");
        if (s->answered && !ports_ok)
                puts("Clients can log in but not work: all three ports must be reachable.");
}

/* HOST, HOST:PORT, [ADDRESS] and [ADDRESS]:PORT, as people copy them. NULL: memory is short. *ret_port: "" for none. */
static char *split_host(const char *text, const char **ret_port)
{
        const char *end = *text == '[' ? strchr(text, ']') : NULL, *colon = end ? end + 1 : strchr(text, ':');

        *ret_port = "";
        if (end && end[1] != '\0' && end[1] != ':')
                return strdup(text);
        if (!colon || *colon == '\0' || strchr(colon + 1, ':'))
                return end ? strndup(text + 1, (size_t)(end - text - 1)) : strdup(text);
        *ret_port = colon + 1;
        return end ? strndup(text + 1, (size_t)(end - text - 1)) : strndup(text, (size_t)(colon - text));
}

ExitStatus verb_check(Ctl *ctl)
{
        const char *port;
        _cleanup_free_ char *host = split_host(ctl->arguments[0], &port);
        PortProbe ports[3];
        ServerProbe server = {0};
        uint64_t seconds;
        bool ok = true;
        unsigned long first = 5555;
        char *end;
        int r = 0;

        if (!ctl_number(ctl, OPT_TIMEOUT, 1, 3600, 5, &seconds))
                return CTL_USAGE;
        if (!host)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (ctl->n_arguments > 1)
                port = ctl->arguments[1];
        if (*port) {
                first = strtoul(port, &end, 10);
                if (*end != '\0' || first < 1 || first > 65533)
                        return ctl_fail(ctl, CTL_USAGE, "\"%s\" is no first port: a number from 1 to 65533 is", port);
        }
        for (unsigned i = 0; i < 3; i++) {
                probe_port(host, (uint16_t)(first + i), (unsigned)seconds * 1000, &ports[i]);
                ok = ok && ports[i].result == PROBE_OK;
        }
        if (ports[0].result == PROBE_OK)
                r = probe_server(ports[0].address, (uint16_t)first, (unsigned)seconds * 1000, &server);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot ask the server at %s: %s", host, strerror(-r));
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "host", host);
                json_object_object_add(o, "ports", ports_json(host, (unsigned)first, ports));
                json_add_bool(o, "answered", server.answered);
                json_add_bool(o, "ok", ok && server.answered);
                if (server.answered) {
                        json_add_text(o, "version", server.version);
                        json_add_bool(o, "private", server.private);
                        json_add_int(o, "round_trip_usec", server.round_trip_usec);
                }
                ctl_print_json(o);
        } else {
                print_ports(ctl, host, (unsigned)first, ports);
                print_server(ctl, &server, ok);
        }
        return ok && server.answered ? CTL_OK : CTL_NOT_RUNNING;
}
