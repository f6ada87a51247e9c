/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include "ctl/pickle-inert.h"
#include "ctl/session-file.h"
#include "pickle/reader.h"
#include "pickle/writer.h"
#include "scene/dependencies.h"

#define CHUNK ((size_t)1 << 20)
#define LOOK_EVERY ((size_t)256 << 20)
#define SPACE_LEFT ((uint64_t)1 << 30)

/* All that an instance of the library's classes needs; a Node has no __dict__, a store has. */
static const char *const allowed_globals[] = {
        "replication.repository GraphObjectStore",
        "replication.objects Node",
        NULL,
};

typedef struct Loader {
        Scene *scene;
        size_t n;
        char **error;
} Loader;

static _printf_(2, 3) int refuse(char **ret_error, const char *format, ...)
{
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(ret_error, format, ap);
        va_end(ap);
        return n < 0 ? -ENOMEM : 1;
}

/* ---- unpacking ---- */

typedef struct Mapping {
        void *data;
        size_t size;
} Mapping;

static void mapping_free(void *userdata)
{
        Mapping *m = userdata;

        munmap(m->data, m->size);
        free(m);
}

static int open_temporary(void)
{
        const char *folder = getenv("TMPDIR");
        int fd = open(folder && *folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                }
        }
        return 0;
}

/* A small file may unpack to anything: the disk, which may be the session's own, is not to be filled by it. */
static bool fills_the_disk(int fd, size_t total)
{
        struct statvfs fs;

        return total % LOOK_EVERY < CHUNK && total >= LOOK_EVERY && fstatvfs(fd, &fs) == 0 &&
               (uint64_t)fs.f_bavail * fs.f_frsize < SPACE_LEFT;
}

/* zlib reads files that are not compressed as they are. */
static int unpack(gzFile in, int fd, SessionFileProgress progress, void *userdata, size_t *ret_size, const char *path,
                  char **ret_error)
{
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK);
        size_t total = 0;

        if (!chunk)
                return -ENOMEM;
        for (;;) {
                int n = gzread(in, chunk, CHUNK), code = Z_OK, r;
                const char *text = gzerror(in, &code);

                if (n < 0 || (n == 0 && code == Z_BUF_ERROR))
                        return refuse(ret_error, "%s is damaged or cut off: %s", path,
                                      code == Z_ERRNO ? strerror(errno) : text);
                if (n == 0)
                        break;
                r = write_all(fd, chunk, (size_t)n);
                if (r < 0) {
                        int e = refuse(ret_error,
                                       "cannot unpack %s: %s; make room in /var/tmp, or set TMPDIR to a folder with room",
                                       path, strerror(-r));
                        return e < 0 ? e : r;
                }
                total += (size_t)n;
                if (fills_the_disk(fd, total))
                        return refuse(ret_error, "%s unpacks to more than %zu MiB, and no room is left for it: make room in "
                                                 "/var/tmp, or set TMPDIR to a folder with room",
                                      path, total >> 20);
                if (progress)
                        progress(userdata, total);
        }
        *ret_size = total;
        return 0;
}

static int map_unpacked(int fd, size_t size, Bytes **ret)
{
        Mapping *m = malloc(sizeof(*m));
        Bytes *b;

        if (!m)
                return -ENOMEM;
        m->size = size;
        m->data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (m->data == MAP_FAILED) {
                int r = -errno;

                free(m);
                return r;
        }
        b = bytes_new_wrap(m->data, size, mapping_free, m);
        if (!b) {
                mapping_free(m);
                return -ENOMEM;
        }
        *ret = b;
        return 0;
}

static int open_unpacked(const char *path, SessionFileProgress progress, void *userdata, Bytes **ret, char **ret_error)
{
        gzFile in = NULL;
        size_t size = 0;
        int fd, r;

        struct stat st;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) || !(in = gzdopen(fd, "rb"))) {
                int error = fd < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : ENOMEM;

                if (fd >= 0)
                        close(fd);
                r = refuse(ret_error, "cannot read %s: %s", path, strerror(error));
                return r < 0 ? r : -error;
        }
        fd = open_temporary();
        if (fd < 0) {
                gzclose(in);
                r = refuse(ret_error, "cannot make a temporary file: %s; set TMPDIR to a folder that can hold one",
                           strerror(-fd));
                return r < 0 ? r : fd;
        }
        gzbuffer(in, CHUNK);
        r = unpack(in, fd, progress, userdata, &size, path, ret_error);
        gzclose(in);
        if (r == 0 && size == 0)
                r = refuse(ret_error, "%s is empty", path);
        if (r == 0)
                r = map_unpacked(fd, size, ret);
        close(fd);
        return r;
}

/* ---- nodes ---- */

/* Takes a node in; what is wrong with it is said by its place in the file. */
static int take_node(Loader *l, Bytes *uuid, Bytes *dependencies, Bytes *payload)
{
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(SCENE_OWNER_COMMON, strlen(SCENE_OWNER_COMMON));
        size_t number = ++l->n;
        size_t offset;
        Node *node;
        int r;

        if (!owner)
                return -ENOMEM;
        if (uuid->size == 0 || uuid->size > SCENE_UUID_MAX || memchr(uuid->data, '\0', uuid->size))
                return refuse(l->error, "node %zu has a uuid that no client writes", number);
        if (scene_find(l->scene, uuid->data, uuid->size))
                return refuse(l->error, "node %zu (%.*s) is there twice", number, (int)uuid->size,
                              (const char *)uuid->data);
        r = dependencies_read(dependencies, NULL);
        if (r > 0)
                return refuse(l->error, "the dependencies of node %zu (%.*s) are no list of uuids", number,
                              (int)uuid->size, (const char *)uuid->data);
        if (r == 0) {
                r = pickle_scan(payload->data, payload->size, PICKLE_PROFILE_DATA, &pickle_limits_default, &offset);
                if (r > 0)
                        return refuse(l->error, "the data of node %zu (%.*s) cannot be loaded by clients: %s at byte %zu",
                                      number, (int)uuid->size, (const char *)uuid->data, pickle_error_to_string(r),
                                      offset);
        }
        return r < 0 ? r : scene_put(l->scene, uuid->data, uuid->size, owner, dependencies, payload, 0, &node);
}

/* ---- the add-on's .db ---- */

static bool is_node_kind(Bytes *pickle)
{
        PickleLimits limits = {.max_size = 64, .max_depth = 1, .max_memo = 8, .max_values = 2};
        _cleanup_value_ Value *v = NULL;

        return pickle_read(pickle, PICKLE_PROFILE_DATA, &limits, &v, NULL) == 0 && value_type(v) == VALUE_INT &&
               value_int_get(v) == 2;
}

static int take_frames(Loader *l, const Value *list)
{
        Bytes *frames[5] = {0};
        bool good = value_type(list) == VALUE_LIST && value_list_length(list) == ELEMENTSOF(frames);
        int r = 0;

        for (uint32_t i = 0; good && r == 0 && i < ELEMENTSOF(frames); i++) {
                const Value *item = value_list_get(list, i);

                good = value_type(item) == VALUE_BYTES;
                if (good && !(frames[i] = value_to_bytes(item)))
                        r = -ENOMEM;
        }
        if (r == 0 && (!good || !is_node_kind(frames[0])))
                r = refuse(l->error, "entry %zu of its nodes is not the five frames of a node", l->n + 1);
        if (r == 0)
                r = take_node(l, frames[1], frames[3], frames[4]);
        for (size_t i = 0; i < ELEMENTSOF(frames); i++)
                bytes_unref(frames[i]);
        return r;
}

static int load_db(Loader *l, const Value *nodes)
{
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < value_list_length(nodes); i++)
                r = take_frames(l, value_list_get(nodes, i));
        return r;
}

/* ---- the old server's pickle: objects are ((class, arguments), state) after pickle_inert() ---- */

static bool is_class(const Value *v, const char *module, const char *name)
{
        return value_type(v) == VALUE_TUPLE && value_tuple_length(v) == 2 &&
               value_is_string_equal(value_tuple_get(v, 0), module) && value_is_string_equal(value_tuple_get(v, 1), name);
}

/* The state of an instance of the class, or NULL when it is none. */
static const Value *instance_state(const Value *v, const char *module, const char *name)
{
        const Value *made;

        if (value_type(v) != VALUE_TUPLE || value_tuple_length(v) != 2)
                return NULL;
        made = value_tuple_get(v, 0);
        if (value_type(made) != VALUE_TUPLE || value_tuple_length(made) != 2 ||
            !is_class(value_tuple_get(made, 0), module, name))
                return NULL;
        return value_tuple_get(v, 1);
}

static int take_object(Loader *l, const Value *uuid, const Value *object, const PickleLimits *limits)
{
        const Value *state = instance_state(object, "replication.objects", "Node"), *slots, *data, *dependencies;
        _cleanup_bytes_ Bytes *uuid_bytes = NULL, *data_bytes = NULL, *dependencies_bytes = NULL;
        int r;

        /* (None, slots) */
        slots = state && value_type(state) == VALUE_TUPLE && value_tuple_length(state) == 2 ? value_tuple_get(state, 1)
                                                                                            : NULL;
        data = slots ? value_dict_get_string(slots, "data") : NULL;
        dependencies = slots ? value_dict_get_string(slots, "dependencies") : NULL;
        if (!data || !dependencies || !value_is_string(uuid))
                return refuse(l->error, "entry %zu of its graph is not a node as the old server has it", l->n + 1);
        uuid_bytes = value_to_bytes(uuid);
        if (!uuid_bytes)
                return -ENOMEM;
        r = pickle_write(dependencies, limits->max_size, &dependencies_bytes);
        if (r == 0)
                r = pickle_write(data, limits->max_size, &data_bytes);
        if (r == -EINVAL || r == -E2BIG)
                return refuse(l->error, "node %zu (%.*s) holds what clients cannot load", l->n + 1,
                              (int)uuid_bytes->size, (const char *)uuid_bytes->data);
        return r < 0 ? r : take_node(l, uuid_bytes, dependencies_bytes, data_bytes);
}

static int load_graph(Loader *l, const Value *graph, const PickleLimits *limits)
{
        const Value *state = instance_state(graph, "replication.repository", "GraphObjectStore");
        const Value *store = state ? value_dict_get_string(state, "store") : NULL;
        int r = 0;

        if (!store || !value_is_dict(store))
                return refuse(l->error, "its graph is not an object store of the old server");
        for (uint32_t slot = value_table_first(store); r == 0 && slot != VALUE_SLOT_END;
             slot = value_table_next(store, slot))
                r = take_object(l, value_table_key(store, slot), value_dict_value(store, slot), limits);
        return r;
}

static int load_value(Loader *l, const Value *v, const PickleLimits *limits)
{
        const Value *nodes = value_dict_get_string(v, "nodes"), *graph = value_dict_get_string(v, "graph");

        if (nodes && value_is_list(nodes))
                return load_db(l, nodes);
        if (graph)
                return load_graph(l, graph, limits);
        return refuse(l->error, "it holds neither the nodes of an add-on's session nor the graph of an old server's");
}

/* A plain pickle is read as it is; one with objects is rewritten first. */
static int read_value(Bytes *pickle, const PickleLimits *limits, Value **ret, char **ret_error)
{
        _cleanup_bytes_ Bytes *inert = NULL;
        PickleInertFault fault;
        size_t offset;
        int r = pickle_read(pickle, PICKLE_PROFILE_DATA, limits, ret, &offset);

        if (r == PICKLE_FORBIDDEN_GLOBAL || r == PICKLE_FORBIDDEN_OPCODE) {
                PickleLimits wider = *limits;

                r = pickle_inert(pickle->data, pickle->size, allowed_globals, &inert, &fault);
                if (r > 0)
                        return refuse(ret_error, "%s (at byte %zu)", fault.what, fault.offset);
                wider.max_size = pickle->size * 2 + 1024;
                if (r == 0)
                        r = pickle_read(inert, PICKLE_PROFILE_DATA, &wider, ret, &offset);
        }
        if (r > 0)
                return refuse(ret_error, "%s at byte %zu", pickle_error_to_string(r), offset);
        return r;
}

int session_file_read(const char *path, SessionFileProgress progress, void *userdata, Scene **ret, char **ret_error)
{
        SceneConfig config = {.limits = pickle_limits_default, .graph_cache_bytes = 64 << 20};
        PickleLimits limits = pickle_limits_default;
        _cleanup_scene_ Scene *scene = scene_new(&config);
        _cleanup_bytes_ Bytes *pickle = NULL;
        _cleanup_value_ Value *v = NULL;
        _cleanup_free_ char *what = NULL;
        Loader l = {.scene = scene, .error = &what};
        int r;

        if (!scene)
                return -ENOMEM;
        r = open_unpacked(path, progress, userdata, &pickle, ret_error);
        if (r != 0)
                return r;
        limits.max_size = pickle->size;
        limits.max_memo = limits.max_values = PICKLE_INERT_MEMO_MAX;
        r = read_value(pickle, &limits, &v, &what);
        if (r == 0)
                r = load_value(&l, v, &limits);
        if (r == 0 && scene_n_nodes(scene) == 0)
                r = refuse(&what, "there are no nodes in it");
        if (r > 0)
                return refuse(ret_error, "%s is no session that can be read: %s", path, what);
        if (r == 0)
                *ret = TAKE_PTR(scene);
        return r;
}
