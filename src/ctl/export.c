/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/format.h"
#include "ctl/progress.h"
#include "ctl/session-file.h"
#include "ctl/source.h"

/* Of a payload that is mapped from the log: what has been written need not stay in memory. */
static void drop_pages(const Bytes *mapped)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t start = ((uintptr_t)mapped->data + page - 1) / page * page;
        uintptr_t end = ((uintptr_t)mapped->data + mapped->size) / page * page;

        if (end > start)
                (void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* Every node, after comparing digests where the log has them. *ret_bad names one that is damaged. */
static int write_nodes(const Ctl *ctl, Store *store, Scene *scene, SessionWriter *w, uint64_t *ret_bytes,
                       const Node **ret_bad)
{
        Progress progress = progress_begin(ctl, "Exporting", scene_payload_bytes(scene));
        uint64_t done = 0;
        int r = 0;

        for (Node *n = scene_first(scene); r == 0 && n; n = scene_next(scene, n)) {
                _cleanup_bytes_ Bytes *payload = NULL;
                StoreLocation location;
                bool in_log;

                *ret_bad = n;
                in_log = store && node_n_deltas(n) == 0 && node_location(scene, n, &location);
                if (in_log)
                        r = store_blob_get_verified(store, &location, &payload);
                else
                        r = scene_payload(scene, n, SIZE_MAX, &payload);
                if (r < 0)
                        break;
                *ret_bad = NULL;
                r = session_writer_add(w, scene, n, payload);
                if (in_log)
                        drop_pages(payload);
                done += payload->size;
                progress_update(&progress, done);
        }
        progress_end(&progress);
        *ret_bytes = done;
        return r;
}

static ExitStatus export_scene(Ctl *ctl, Store *store, const Source *s, const char *path)
{
        _cleanup_session_writer_ SessionWriter *w = NULL;
        char size[FORMAT_SIZE_MAX];
        const Node *bad = NULL;
        uint64_t bytes = 0;
        int r = session_writer_new(path, &w);

        if (r == 0)
                r = write_nodes(ctl, s->moment ? store : NULL, s->scene, w, &bytes, &bad);
        if (r < 0 && bad)
                return ctl_fail(ctl, CTL_DEGRADED, "node %s is damaged (%s), nothing was written: export an older snapshot, "
                                                   "and see `scenekeepctl verify`",
                                node_uuid(bad).text, strerror(-r));
        if (r == 0)
                r = session_writer_finish(w, s->moment ? moment_session(s->moment) : NULL);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(-r));
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "file", path);
                json_add_text(o, "source", s->title);
                json_add_time(o, "time", s->time_usec);
                json_add_int(o, "node_count", scene_n_nodes(s->scene));
                json_add_int(o, "bytes", bytes);
                ctl_print_json(o);
        } else {
                printf("%zu nodes with %s written.\n", scene_n_nodes(s->scene),
                       format_size(size, sizeof(size), bytes));
        }
        return CTL_OK;
}

ExitStatus verb_export(Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        Source s = {0};
        ExitStatus status = source_open(ctl, ctl->value[OPT_AT] ?: "now", &store, &s);

        if (status != CTL_OK)
                return status;
        if (s.n_damaged > 0)
                status = ctl_fail(ctl, CTL_DEGRADED,
                                  "%zu records or nodes of it are damaged, so it would not be whole: export an intact "
                                  "snapshot with --at, and see `scenekeepctl verify`",
                                  s.n_damaged);
        else if (scene_n_nodes(s.scene) == 0)
                status = ctl_fail(ctl, CTL_NOT_FOUND, "the session has no nodes yet: there is nothing to export");
        else
                status = export_scene(ctl, store, &s, ctl->arguments[0]);
        source_done(&s);
        return status;
}
