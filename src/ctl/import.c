/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/import.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "control/node-stream.h"
#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/progress.h"
#include "ctl/session-file.h"
#include "ctl/workbench.h"

/* What the journal needs beside payloads. */
#define ROOM_BESIDE (UINT64_C(4) << 20)

static void on_unpacking(void *userdata, uint64_t n_bytes)
{
        progress_update(userdata, n_bytes);
}

/* ---- into a stopped session ---- */

static int put_all(const Ctl *ctl, Workbench *w, Scene *scene)
{
        Progress progress = progress_begin(ctl, "Importing", scene_payload_bytes(scene));
        uint64_t done = 0;
        int r = 0;

        for (Node *n = scene_first(scene); r == 0 && n; n = scene_next(scene, n)) {
                _cleanup_bytes_ Bytes *payload = NULL;

                r = scene_payload(scene, n, SIZE_MAX, &payload);
                if (r == 0)
                        r = workbench_put(w, n, payload);
                if (r == 0)
                        progress_update(&progress, done += payload->size);
        }
        progress_end(&progress);
        return r;
}

static int delete_others(Workbench *w, Scene *scene, uint64_t *ret_removed)
{
        Scene *now = workbench_scene(w);
        int r = 0;

        for (Node *n = scene_first(now), *next; r == 0 && n; n = next) {
                next = scene_next(now, n);
                if (scene_find(scene, node_uuid(n).text, node_uuid_size(n)))
                        continue;
                r = workbench_delete(w, n);
                *ret_removed += r == 0;
        }
        return r;
}

ExitStatus import_compare(const Ctl *ctl, Scene *want, Scene *have)
{
        if (scene_n_nodes(have) != scene_n_nodes(want))
                return ctl_fail(ctl, CTL_FAILED, "read back, %zu nodes are there and not %zu: the disk is not to be trusted",
                                scene_n_nodes(have), scene_n_nodes(want));
        for (Node *n = scene_first(want); n; n = scene_next(want, n)) {
                _cleanup_bytes_ Bytes *written = NULL, *there = NULL;
                Node *twin = scene_find(have, node_uuid(n).text, node_uuid_size(n));

                if (!twin || scene_payload(want, n, SIZE_MAX, &written) != 0 ||
                    scene_payload(have, twin, SIZE_MAX, &there) != 0 || !bytes_equal(written, there) ||
                    !bytes_equal(node_dependencies(n), node_dependencies(twin)))
                        return ctl_fail(ctl, CTL_FAILED, "read back, node %s is not what was written: the disk is not to be "
                                                         "trusted",
                                        node_uuid(n).text);
        }
        return CTL_OK;
}

/* What a daemon would load has to be what was imported, byte for byte. */
static ExitStatus read_back(const Ctl *ctl, const char *data_dir, Scene *scene)
{
        _cleanup_workbench_ Workbench *w = NULL;
        ExitStatus status = workbench_open(ctl, data_dir, &w);

        return status == CTL_OK ? import_compare(ctl, scene, workbench_scene(w)) : status;
}

/* Looked at before anything is written: half a session is none. */
static ExitStatus check_room(const Ctl *ctl, const char *data_dir, Scene *scene)
{
        uint64_t needed = scene_payload_bytes(scene) + ROOM_BESIDE, left;
        char want[FORMAT_SIZE_MAX], have[FORMAT_SIZE_MAX];
        struct statvfs fs;

        if (statvfs(data_dir, &fs) < 0)
                return CTL_OK;
        left = (uint64_t)fs.f_bavail * fs.f_frsize;
        if (left >= needed)
                return CTL_OK;
        return ctl_fail(ctl, CTL_FAILED, "the import needs %s in %s, where %s are free: make room first; nothing was changed",
                        format_size(want, sizeof(want), needed), data_dir, format_size(have, sizeof(have), left));
}

ExitStatus import_offline(const Ctl *ctl, const char *data_dir, Scene *scene, uint64_t *ret_removed)
{
        _cleanup_workbench_ Workbench *w = NULL;
        uint64_t removed = 0;
        ExitStatus status = workbench_open(ctl, data_dir, &w);
        int r;

        if (status == CTL_OK)
                status = check_room(ctl, data_dir, scene);
        if (status != CTL_OK)
                return status;
        r = put_all(ctl, w, scene);
        if (r == 0)
                r = delete_others(w, scene, &removed);
        if (r == 0)
                r = workbench_commit(w);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "the import into %s is not complete: %s; make room and repeat it", data_dir,
                                strerror(-r));
        w = workbench_free(w);
        status = read_back(ctl, data_dir, scene);
        if (status == CTL_OK)
                *ret_removed = removed;
        return status;
}

/* ---- into a running one ---- */

static int open_temporary(void)
{
        const char *folder = getenv("TMPDIR");
        int fd = open(folder && *folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : fd;
}

static int write_stream(int fd, Scene *scene)
{
        int r = 0;

        for (Node *n = scene_first(scene); r == 0 && n; n = scene_next(scene, n)) {
                _cleanup_bytes_ Bytes *payload = NULL;

                r = scene_payload(scene, n, SIZE_MAX, &payload);
                if (r == 0)
                        r = node_stream_write(fd, node_uuid(n).text, node_uuid_size(n), node_dependencies(n), payload);
        }
        return r;
}

static ExitStatus import_online(const Ctl *ctl, Scene *scene, uint64_t *ret_removed)
{
        int fd = open_temporary(), r = fd < 0 ? fd : write_stream(fd, scene);
        json_object *o = NULL;
        ExitStatus status;

        if (r < 0)
                status = ctl_fail(ctl, CTL_FAILED, "cannot write a temporary file: %s; set TMPDIR to a folder with room",
                                  strerror(-r));
        else
                status = ctl_call(ctl, "import", NULL, fd, &o);
        if (fd >= 0)
                close(fd);
        if (status == CTL_OK)
                *ret_removed = answer_int(o, "removed");
        json_object_put(o);
        return status;
}

ExitStatus verb_import(Ctl *ctl)
{
        Progress progress = progress_begin(ctl, "Unpacking", 0);
        _cleanup_scene_ Scene *scene = NULL;
        _cleanup_free_ char *error = NULL;
        uint64_t removed = 0, bytes;
        char size[FORMAT_SIZE_MAX];
        ExitStatus status;
        int r = session_file_read(ctl->arguments[0], on_unpacking, &progress, &scene, &error);

        progress_end(&progress);
        if (r != 0)
                return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s", error ?: "out of memory");
        bytes = scene_payload_bytes(scene);
        status = ctl_is_running(ctl) ? import_online(ctl, scene, &removed)
                                     : import_offline(ctl, ctl->data_dir, scene, &removed);
        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_add_int(o, "imported", scene_n_nodes(scene));
                json_add_int(o, "bytes", bytes);
                json_add_int(o, "removed", removed);
                ctl_print_json(o);
        } else {
                printf("%zu nodes with %s imported, %llu removed.\n", scene_n_nodes(scene),
                       format_size(size, sizeof(size), bytes), (unsigned long long)removed);
        }
        return CTL_OK;
}
