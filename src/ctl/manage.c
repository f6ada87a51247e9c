/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <string.h>

#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/source.h"

/* The verbs that change something in a running session. */

/* Asks, and prints the answer as JSON or leaves it to the caller: CTL_OK with *ret, or CTL_OK and NULL when all has been
 * said. */
static ExitStatus act(const Ctl *ctl, const char *verb, json_object *arguments, json_object **ret)
{
        json_object *o = NULL;
        ExitStatus status = ctl_call(ctl, verb, arguments, -1, &o);

        *ret = NULL;
        if (status != CTL_OK)
                return status;
        if (ctl->json)
                ctl_print_json(o);
        else
                *ret = o;
        return CTL_OK;
}

static json_object *arguments_new(const char *key, const char *value)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, key, json_object_new_string(value));
        return o;
}

ExitStatus verb_kick(Ctl *ctl)
{
        json_object *arguments = arguments_new("user", ctl->arguments[0]), *o;
        ExitStatus status;

        if (ctl_has(ctl, OPT_REASON))
                json_object_object_add(arguments, "reason", json_object_new_string(ctl->value[OPT_REASON]));
        status = act(ctl, "kick", arguments, &o);
        if (o)
                printf("%s is out of the session.\n", ctl->arguments[0]);
        json_object_put(o);
        return status;
}

ExitStatus verb_ban(Ctl *ctl)
{
        json_object *o;
        ExitStatus status = act(ctl, "ban", arguments_new("who", ctl->arguments[0]), &o);
        char duration[FORMAT_SIZE_MAX];

        if (o)
                printf("%s is shut out for %s, %llu users put out.\n", answer_text_of(o, "address"),
                       format_duration(duration, sizeof(duration), answer_int(o, "seconds") * 1000000),
                       (unsigned long long)answer_int(o, "kicked"));
        json_object_put(o);
        return status;
}

ExitStatus verb_unban(Ctl *ctl)
{
        json_object *o;
        ExitStatus status = act(ctl, "unban", arguments_new("address", ctl->arguments[0]), &o);

        if (o)
                printf("%s may come back.\n", ctl->arguments[0]);
        json_object_put(o);
        return status;
}

/* The uuid of the node that an argument names, looked up in the session as it is now; the caller's. */
static ExitStatus find_uuid(const Ctl *ctl, const char *name, char **ret)
{
        _cleanup_store_ Store *store = NULL;
        Source s = {0};
        Listing l = {0};
        Listed *item;
        ExitStatus status = source_open(ctl, "now", &store, &s);

        if (status != CTL_OK)
                return status;
        if (listing_new(s.scene, &l) < 0) {
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        } else if ((item = source_find_node(ctl, &l, name, &status))) {
                *ret = strdup(node_uuid(item->node).text);
                if (!*ret)
                        status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        listing_done(&l);
        source_done(&s);
        return status;
}

static bool is_uuid(const char *text)
{
        static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

        for (size_t i = 0; i < strlen(form); i++)
                if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
                        return false;
        return text[strlen(form)] == '\0';
}

/* Names are looked up in the session's folder, which may not be read by all who may ask its daemon. */
static ExitStatus choose_uuid(const Ctl *ctl, const char *name, char **ret)
{
        if (!is_uuid(name))
                return find_uuid(ctl, name, ret);
        *ret = strdup(name);
        return *ret ? CTL_OK : ctl_fail(ctl, CTL_FAILED, "out of memory");
}

static ExitStatus change_owner(Ctl *ctl, const char *verb, const char *user)
{
        _cleanup_free_ char *uuid = NULL;
        json_object *arguments, *o;
        ExitStatus status = choose_uuid(ctl, ctl->arguments[0], &uuid);

        if (status != CTL_OK)
                return status;
        arguments = arguments_new("uuid", uuid);
        if (user)
                json_object_object_add(arguments, "user", json_object_new_string(user));
        status = act(ctl, verb, arguments, &o);
        if (o && user)
                printf("%s now belongs to %s.\n", ctl->arguments[0], user);
        else if (o)
                printf("%s may be edited by everybody.\n", ctl->arguments[0]);
        json_object_put(o);
        return status;
}

ExitStatus verb_lock(Ctl *ctl)
{
        return change_owner(ctl, "lock", ctl->arguments[1]);
}

ExitStatus verb_unlock(Ctl *ctl)
{
        return change_owner(ctl, "unlock", NULL);
}

ExitStatus verb_save(Ctl *ctl)
{
        json_object *arguments = json_object_new_object(), *o;
        ExitStatus status;
        char size[FORMAT_SIZE_MAX];

        if (ctl->n_arguments > 0 && !ctl_has(ctl, OPT_PIN)) {
                json_object_put(arguments);
                return ctl_fail(ctl, CTL_USAGE, "a name is for a snapshot that is kept: save --pin %s", ctl->arguments[0]);
        }
        json_object_object_add(arguments, "pin", json_object_new_boolean(ctl_has(ctl, OPT_PIN)));
        if (ctl->n_arguments > 0)
                json_object_object_add(arguments, "pin_name", json_object_new_string(ctl->arguments[0]));
        status = act(ctl, "save", arguments, &o);
        if (o)
                printf("Saved as %s (%llu nodes, %s)%s.\n", answer_text_of(o, "name"),
                       (unsigned long long)answer_int(o, "node_count"),
                       format_size(size, sizeof(size), answer_int(o, "bytes")),
                       answer_bool(o, "pinned") ? ", pinned" : "");
        json_object_put(o);
        return status;
}

static ExitStatus set_pin(Ctl *ctl, const char *verb, const char *yes, const char *already)
{
        json_object *o;
        json_object *arguments = arguments_new("snapshot", ctl->arguments[0]);
        ExitStatus status;

        if (ctl->n_arguments > 1)
                json_object_object_add(arguments, "pin_name", json_object_new_string(ctl->arguments[1]));
        status = act(ctl, verb, arguments, &o);
        if (o)
                printf("Snapshot %s %s.\n", ctl->arguments[0], answer_bool(o, "changed") ? yes : already);
        json_object_put(o);
        return status;
}

ExitStatus verb_pin(Ctl *ctl)
{
        return set_pin(ctl, "pin", "is kept until you unpin it", "was pinned already");
}

ExitStatus verb_unpin(Ctl *ctl)
{
        return set_pin(ctl, "unpin", "is subject to retention again", "was not pinned");
}
