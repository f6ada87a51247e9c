/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/workbench.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/moment.h"
#include "session/session.h"
#include "store/store.h"

#define STEP 4096u

struct Workbench {
        Worker *worker;
        Store *store;
        Moment *moment;
        EffectList effects;
        bool is_owner; /* root works as the owner of the session, and has to be itself again */
        gid_t *groups;
        int n_groups;
};

static void become_root(Workbench *w)
{
        if (seteuid(0) < 0 || setegid(0) < 0 || setgroups((size_t)w->n_groups, w->groups) < 0)
                abort();
}

Workbench *workbench_free(Workbench *w)
{
        if (!w)
                return NULL;
        moment_free(w->moment);
        effect_list_done(&w->effects);
        store_close(w->store);
        worker_free(w->worker);
        if (w->is_owner)
                become_root(w);
        free(w->groups);
        free(w);
        return NULL;
}

/* The folder of a session that is not there yet belongs to the user that systemd will run its daemon as. */
static int make_folder(const Ctl *ctl, const char *data_dir, struct stat *ret)
{
        const struct passwd *daemon = ctl_has(ctl, OPT_DATA_DIR) || ctl->by_hand ? NULL : getpwnam("scenekeep");

        if (!daemon)
                return 0;
        if ((mkdir(data_dir, 0700) < 0 && errno != EEXIST) || chown(data_dir, daemon->pw_uid, daemon->pw_gid) < 0 ||
            stat(data_dir, ret) < 0)
                return -errno;
        return 0;
}

/* What root writes into a session its daemon could not open. */
static int become_owner(Workbench *w, const Ctl *ctl, const char *data_dir)
{
        struct stat st = {0};
        int k = 0;

        if (geteuid() != 0)
                return 0;
        if (stat(data_dir, &st) < 0)
                k = errno == ENOENT ? make_folder(ctl, data_dir, &st) : -errno;
        if (k < 0 || st.st_uid == 0)
                return k;
        w->n_groups = getgroups(0, NULL);
        w->groups = calloc((size_t)MAX(w->n_groups, 0) + 1, sizeof(gid_t));
        if (!w->groups || w->n_groups < 0 || getgroups(w->n_groups, w->groups) < 0 || setgroups(0, NULL) < 0)
                return w->groups ? -errno : -ENOMEM;
        w->is_owner = true;
        return setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0 ? -errno : 0;
}

static SessionTime time_now(void)
{
        return (SessionTime){.now = clock_monotonic_usec(), .wall = clock_realtime_usec()};
}

static void set_field(const void **data, size_t *size, const Bytes *b)
{
        if (b) {
                *data = b->data;
                *size = b->size;
        }
}

static int append(Workbench *w, const SessionRecord *r)
{
        bool early = r->kind == RECORD_USER || r->kind == RECORD_LEFT || r->kind == RECORD_STATE;
        StoreRecord record = {
                .kind = (uint16_t)r->kind,
                .flags = (uint16_t)(early ? STORE_RECORD_STATE : 0),
                .blob = r->blob,
        };
        int k;

        set_field(&record.author, &record.author_size, r->author);
        set_field(&record.key, &record.key_size, r->key);
        set_field(&record.meta, &record.meta_size, r->meta);
        k = store_append(w->store, &record, NULL, NULL);
        /* Nobody is connected who could go on in the meantime: what the disk refuses is a failure. */
        return k > 0 ? -ENOSPC : k;
}

/* Of all that the session wants done, what concerns the journal. */
static int carry_out(Workbench *w)
{
        int k = 0;

        for (size_t i = 0; k == 0 && i < w->effects.n_items; i++)
                if (w->effects.items[i].kind == EFFECT_JOURNAL)
                        k = append(w, &w->effects.items[i].journal.record);
        effect_list_clear(&w->effects);
        if (k == 0 && store_commit(w->store) != 0)
                k = -ENOSPC;
        return k;
}

static int load(Workbench *w)
{
        int k = moment_begin(w->store, NULL, &w->moment);

        while (k == 0 && (k = moment_step(w->moment, STEP)) == 1)
                k = 0;
        if (k == 0 && moment_n_damaged(w->moment) > 0)
                return -EUCLEAN;
        if (k == 0)
                k = session_load_done(moment_session(w->moment), time_now(), &w->effects);
        return k < 0 ? k : carry_out(w);
}

ExitStatus workbench_open(const Ctl *ctl, const char *data_dir, Workbench **ret)
{
        _cleanup_workbench_ Workbench *w = calloc(1, sizeof(*w));
        _cleanup_free_ char *error = NULL;
        StoreOptions options = {.path = data_dir, .retention = {.newest = UINT32_MAX}};
        int k = w ? worker_new_inline(&w->worker) : -ENOMEM;

        if (k == 0)
                k = become_owner(w, ctl, data_dir);
        if (k == 0) {
                options.worker = w->worker;
                k = store_open(&options, &w->store, &error);
        }
        if (k == -EBUSY)
                return ctl_fail(ctl, CTL_REFUSED, "%s is being served by a daemon that could not be asked: see `scenekeepctl "
                                                  "status`",
                                data_dir);
        if (k == -EACCES || k == -EPERM)
                return ctl_fail(ctl, CTL_REFUSED, "%s may not be written by you: run this as root or as the user scenekeep",
                                data_dir);
        if (k == 0)
                k = load(w);
        if (k < 0)
                return ctl_fail(ctl, k == -EUCLEAN ? CTL_DEGRADED : CTL_FAILED, "%s",
                                error ?: k == -EUCLEAN ? "the session is damaged: start the daemon, which mends what it can, first"
                                                       : strerror(-k));
        *ret = TAKE_PTR(w);
        return CTL_OK;
}

Scene *workbench_scene(Workbench *w)
{
        return moment_scene(w->moment);
}

Store *workbench_store(Workbench *w)
{
        return w->store;
}

int workbench_put(Workbench *w, const Node *n, Bytes *payload)
{
        int k = session_put(moment_session(w->moment), time_now(), node_uuid(n).text, node_uuid_size(n), node_dependencies(n),
                            payload, &w->effects);

        return k < 0 ? k : carry_out(w);
}

int workbench_delete(Workbench *w, const Node *n)
{
        int k = session_delete(moment_session(w->moment), time_now(), node_uuid(n).text, node_uuid_size(n), &w->effects);

        return k < 0 ? k : carry_out(w);
}

int workbench_commit(Workbench *w)
{
        uint64_t wanted = store_sequence(w->store);

        store_sync_begin(w->store);
        worker_drain(w->worker, false);
        return store_durable_sequence(w->store) >= wanted ? 0 : -EIO;
}
