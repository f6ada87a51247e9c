/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/manager-control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/protocol.h"
#include "daemon/event-id.h"
#include "net/address.h"
#include "store/snapshot.h"

const char *control_text(json_object *arguments, const char *key)
{
        json_object *v = json_object_object_get(arguments, key);

        return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

bool control_flag(json_object *arguments, const char *key)
{
        return json_object_get_boolean(json_object_object_get(arguments, key));
}

static int run_turn(ManagerControl *c, int k)
{
        return manager_check(c->manager, k < 0 ? k : manager_turn(c->manager));
}

static int done(ControlCall *call)
{
        control_answer(call, json_object_new_object());
        return 0;
}

static int refuse_without(ControlCall *call, const char *key)
{
        control_refuse(call, CONTROL_ERROR_USAGE, "the argument \"%s\" is missing", key);
        return 0;
}

/* ---- looking ---- */

static int on_status(void *userdata, ControlCall *call, json_object *arguments)
{
        control_answer(call, control_status(userdata));
        return 0;
}

/* ---- users ---- */

static int refuse_user(ControlCall *call, const char *name)
{
        control_refuse(call, CONTROL_ERROR_NOT_FOUND, "nobody named \"%s\" is in the session: see `scenekeepctl users`",
                       name);
        return 0;
}

static int on_kick(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        Manager *m = c->manager;
        const char *name = control_text(arguments, "user");
        int k;

        if (!name)
                return refuse_without(call, "user");
        k = session_kick(m->session, manager_time(), name, control_text(arguments, "reason") ?: "kicked by the operator",
                         executor_effects(m->executor));
        if (k == 1)
                return refuse_user(call, name);
        if (run_turn(c, k) < 0)
                return k;
        return done(call);
}

/* The address that a name or an address means; false: none that can be shut out. */
static bool find_address(const Manager *m, const char *who, Address *ret, bool *ret_is_user)
{
        SessionUserInfo u;

        for (size_t i = 0; session_get_user(m->session, i, &u) == 0; i++)
                if (strcmp(u.name, who) == 0) {
                        *ret_is_user = true;
                        return address_parse(u.address, ret) == 0;
                }
        *ret_is_user = false;
        return !strchr(who, '%') && address_parse(who, ret) == 0;
}

/* Everybody who is there from the network of an address; names are copied, as kicking changes the list. */
static int kick_network(ManagerControl *c, const Address *address, size_t *ret_n)
{
        Address network = address_network(address);
        Manager *m = c->manager;
        SessionUserInfo u;
        int k = 0;

        *ret_n = 0;
        for (size_t i = 0; k >= 0 && session_get_user(m->session, i, &u) == 0;) {
                _cleanup_free_ char *name = NULL;
                Address a, there;

                i++;
                if (address_parse(u.address, &a) < 0)
                        continue;
                there = address_network(&a);
                if (!address_equal(&there, &network))
                        continue;
                name = strdup(u.name);
                if (!name)
                        return -ENOMEM;
                k = session_kick(m->session, manager_time(), name, "banned by the operator", executor_effects(m->executor));
                if (k == 0) {
                        ++*ret_n;
                        i = 0; /* the list is another now */
                }
        }
        return run_turn(c, MIN(k, 0));
}

static int on_ban(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        Manager *m = c->manager;
        const char *who = control_text(arguments, "who");
        char text[ADDRESS_TEXT_MAX];
        Address address;
        json_object *o;
        bool is_user;
        size_t n = 1;
        int k;

        if (!who)
                return refuse_without(call, "who");
        if (!find_address(m, who, &address, &is_user)) {
                control_refuse(call, CONTROL_ERROR_NOT_FOUND, "\"%s\" is neither an IP address nor somebody in the session whose "
                                                              "address is known: see `scenekeepctl users`",
                               who);
                return 0;
        }
        address_format(&address, text);
        k = net_ban(m->net, text, m->config->ban_time);
        if (k == 1) {
                control_refuse(call, CONTROL_ERROR_REFUSED, "%s is not shut out: it is in `allow` of the configuration; "
                                                            "`scenekeepctl kick` puts somebody out",
                               text);
                return 0;
        }
        if (k == 0)
                k = bans_set(&m->bans, text, clock_realtime_usec() + m->config->ban_time);
        if (k < 0)
                return manager_check(m, k);
        manager_keep_bans(m);
        /* Whoever shares the address of a user may stay until they leave. */
        if (is_user)
                k = run_turn(c, session_kick(m->session, manager_time(), who, "banned by the operator",
                                             executor_effects(m->executor)));
        else
                k = kick_network(c, &address, &n);
        if (k < 0)
                return k;
        o = json_object_new_object();
        json_object_object_add(o, "address", json_object_new_string(text));
        json_object_object_add(o, "seconds", json_object_new_uint64(m->config->ban_time / USEC_PER_SEC));
        json_object_object_add(o, "kicked", json_object_new_uint64(n));
        control_answer(call, o);
        return 0;
}

/* What was shut out is the whole network of an address, so any other of it lifts that. */
static void forget_bans(Manager *m, const char *text)
{
        Address a, network, other;

        if (m->bans.n == 0 || address_parse(text, &a) < 0)
                return;
        network = address_network(&a);
        for (size_t i = m->bans.n; i-- > 0;) {
                if (address_parse(m->bans.bans[i].address, &other) < 0)
                        continue;
                other = address_network(&other);
                if (address_equal(&network, &other))
                        (void)bans_set(&m->bans, m->bans.bans[i].address, 0);
        }
        manager_keep_bans(m);
}

static int on_unban(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        const char *address = control_text(arguments, "address");

        if (!address)
                return refuse_without(call, "address");
        if (net_forgive(c->manager->net, address) == 1) {
                control_refuse(call, CONTROL_ERROR_NOT_FOUND, "%s is not shut out, and nothing is held against it", address);
                return 0;
        }
        forget_bans(c->manager, address);
        return done(call);
}

static int set_owner(ManagerControl *c, ControlCall *call, const char *uuid, const char *owner)
{
        Manager *m = c->manager;
        int k;

        if (!uuid)
                return refuse_without(call, "uuid");
        if (!owner)
                return refuse_without(call, "user");
        k = session_set_owner(m->session, manager_time(), uuid, strlen(uuid), owner, executor_effects(m->executor));
        if (k == 1) {
                control_refuse(call, CONTROL_ERROR_NOT_FOUND, "there is no node %s", uuid);
                return 0;
        }
        if (k == 2)
                return refuse_user(call, owner);
        if (run_turn(c, k) < 0)
                return k;
        return done(call);
}

static int on_lock(void *userdata, ControlCall *call, json_object *arguments)
{
        return set_owner(userdata, call, control_text(arguments, "uuid"), control_text(arguments, "user"));
}

static int on_unlock(void *userdata, ControlCall *call, json_object *arguments)
{
        return set_owner(userdata, call, control_text(arguments, "uuid"), SCENE_OWNER_COMMON);
}

/* ---- snapshots ---- */

/* What is answered when it is on the disk. */
typedef struct Pinning {
        ControlCall *call;
        json_object *answer;
} Pinning;

static void on_pinned(void *userdata, int result)
{
        Pinning *p = userdata;

        if (result < 0) {
                control_refuse(p->call, CONTROL_ERROR_FAILED, "the snapshot's pin cannot be written: %s", strerror(-result));
                json_object_put(p->answer);
        } else
                control_answer(p->call, p->answer);
        free(p);
}

static void refuse_pin_name(ControlCall *call, const char *pin_name, int error)
{
        if (error == -EEXIST)
                control_refuse(call, CONTROL_ERROR_REFUSED,
                               "another snapshot has the name \"%s\": unpin that one first, or choose another name", pin_name);
        else
                control_refuse(call, CONTROL_ERROR_USAGE,
                               "\"%s\" is no name for a snapshot: begin with a letter, go on with letters, digits, \".\", "
                               "\"_\" and \"-\", at most %d in all",
                               pin_name, STORE_PIN_NAME_MAX - 1);
}

/* Takes the answer over. */
static void begin_pin(ManagerControl *c, ControlCall *call, const char *name, bool pinned, const char *pin_name,
                      json_object *answer)
{
        Pinning *p = calloc(1, sizeof *p);
        int k = p && answer ? store_snapshot_pin_begin(c->manager->store, name, pinned, pin_name, on_pinned, p) :
                             -ENOMEM;

        if (k > 0) {
                *p = (Pinning){call, answer};
                return;
        }
        free(p);
        if (k == 0) {
                json_object_object_add(answer, "changed", json_object_new_boolean(false));
                control_answer(call, answer);
                return;
        }
        if (k == -ENOENT)
                control_refuse(call, CONTROL_ERROR_NOT_FOUND, "there is no snapshot \"%s\": see `scenekeepctl snapshots`",
                               name);
        else if (k == -EINVAL || k == -EEXIST)
                refuse_pin_name(call, pin_name, k);
        else
                control_refuse(call, CONTROL_ERROR_FAILED, "the snapshot's pin cannot be written: %s", strerror(-k));
        json_object_put(answer);
}

static void answer_save(ManagerControl *c, const ControlSave *save, int error)
{
        StoreSnapshotInfo info;
        json_object *o;

        if (error < 0) {
                control_refuse(save->call, CONTROL_ERROR_FAILED, "the session could not be saved: %s; %s. See the log",
                               strerror(-error), report_journal(c->manager->store));
                return;
        }
        error = store_snapshot_find(c->manager->store, "latest", &info);
        if (error == -ENOENT) {
                control_refuse(save->call, CONTROL_ERROR_REFUSED, "the session is empty: there is nothing to save");
                return;
        }
        if (error < 0) {
                control_refuse(save->call, CONTROL_ERROR_FAILED, "the snapshot cannot be found: %s", strerror(-error));
                return;
        }
        o = json_object_new_object();
        json_object_object_add(o, "name", json_object_new_string(info.name));
        json_object_object_add(o, "node_count", json_object_new_uint64(info.node_count));
        json_object_object_add(o, "bytes", json_object_new_uint64(info.payload_bytes));
        json_object_object_add(o, "pinned", json_object_new_boolean(save->pin || info.pinned));
        if (save->pin)
                begin_pin(c, save->call, info.name, true, *save->pin_name ? save->pin_name : NULL, o);
        else
                control_answer(save->call, o);
        store_snapshot_info_done(&info);
}

void manager_control_saved(Manager *m, int error)
{
        ManagerControl *c = m->control;
        size_t n;

        /* What was asked for while a snapshot was being taken is in the next one. */
        if (!c || saver_busy(m->saver))
                return;
        n = c->n_saves;
        c->n_saves = 0;
        for (size_t i = 0; i < n; i++)
                answer_save(c, &c->saves[i], error);
        rewind_saved(c, error);
}

void control_refuse_loading(ControlCall *call)
{
        control_refuse(call, CONTROL_ERROR_REFUSED, "the session is still being loaded, or is being stopped");
}

int control_save(ManagerControl *c, ControlCall *call, const char *reason, bool pin, const char *pin_name)
{
        int k;

        if (c->manager->state != MANAGER_SERVING || c->n_saves == ELEMENTSOF(c->saves)) {
                control_refuse_loading(call);
                return 0;
        }
        k = manager_save(c->manager, reason);
        if (k < 0)
                return k;
        ControlSave *save = &c->saves[c->n_saves++];
        *save = (ControlSave){.call = call, .pin = pin};
        snprintf(save->pin_name, sizeof(save->pin_name), "%s", pin_name ?: "");
        return 0;
}

static int on_save(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        const char *pin_name = control_text(arguments, "pin_name");
        StoreSnapshotInfo holder;
        int k = 0;

        /* Before anything is saved. */
        if (pin_name && !store_pin_name_is_valid(pin_name))
                k = -EINVAL;
        else if (pin_name && store_snapshot_find(c->manager->store, pin_name, &holder) == 0) {
                store_snapshot_info_done(&holder);
                k = -EEXIST;
        }
        if (k < 0) {
                refuse_pin_name(call, pin_name, k);
                return 0;
        }
        return control_save(c, call, "manual", control_flag(arguments, "pin"), pin_name);
}

static int set_pin(ManagerControl *c, ControlCall *call, json_object *arguments, bool pinned)
{
        const char *name = control_text(arguments, "snapshot");
        json_object *o;

        if (!name)
                return refuse_without(call, "snapshot");
        o = json_object_new_object();
        json_object_object_add(o, "changed", json_object_new_boolean(true));
        begin_pin(c, call, name, pinned, control_text(arguments, "pin_name"), o);
        return 0;
}

static int on_pin(void *userdata, ControlCall *call, json_object *arguments)
{
        return set_pin(userdata, call, arguments, true);
}

static int on_unpin(void *userdata, ControlCall *call, json_object *arguments)
{
        return set_pin(userdata, call, arguments, false);
}

/* ---- life ---- */

static const ControlVerb control_verbs[] = {
        {"status", on_status},
        {"kick", on_kick},
        {"ban", on_ban},
        {"unban", on_unban},
        {"lock", on_lock},
        {"unlock", on_unlock},
        {"save", on_save},
        {"pin", on_pin},
        {"unpin", on_unpin},
        {"prune", control_prune},
        {"scrub", control_scrub},
        {"chat", control_chat},
        {"say", control_say},
        {"tasks", control_tasks},
        {"task-put", control_task_put},
        {"task-remove", control_task_remove},
        {"restore", rewind_restore},
        {"import", rewind_import},
        {NULL, NULL},
};

void manager_control_open(Manager *m)
{
        const char *runtime = getenv("RUNTIME_DIRECTORY");
        ManagerControl *c = calloc(1, sizeof(*c));
        _cleanup_free_ char *path = NULL;
        int k = -ENOMEM;

        if (runtime && *runtime)
                k = asprintf(&path, "%.*s/" CONTROL_SOCKET_NAME, (int)strcspn(runtime, ":"), runtime);
        else
                k = asprintf(&path, "%s/" CONTROL_SOCKET_NAME, m->config->data_dir);
        if (c && k >= 0) {
                c->manager = m;
                c->started_wall = manager_time().wall;
                k = control_server_new(&c->server, m->event, path, control_verbs, c);
        } else {
                k = -ENOMEM;
        }
        if (k < 0) {
                log_warning_errno(k, "scenekeepctl cannot ask this daemon: cannot listen on %s", path ?: "its socket");
                free(c);
                return;
        }
        m->control = c;
}

void manager_control_close(Manager *m)
{
        ManagerControl *c = TAKE_PTR(m->control);

        if (!c)
                return;
        rewind_cancel(c);
        for (size_t i = 0; i < c->n_saves; i++)
                control_refuse(c->saves[i].call, CONTROL_ERROR_FAILED, "the daemon is being stopped");
        if (c->scrub)
                control_refuse(c->scrub, CONTROL_ERROR_FAILED, "the daemon is being stopped");
        if (c->prune)
                control_refuse(c->prune, CONTROL_ERROR_FAILED, "the daemon is being stopped");
        control_server_free(c->server);
        free(c);
}
