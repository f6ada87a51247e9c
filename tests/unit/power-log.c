/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "power-log.h"

#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define FDS_MAX 1024

typedef enum StepKind { STEP_WRITE, STEP_TRUNCATE, STEP_SYNC, STEP_ADD, STEP_REMOVE, STEP_MOVE } StepKind;

/* A step concerns one object: a file's content, or a folder's list of names. */
typedef struct Step {
        StepKind kind;
        unsigned object;  /* file written or synced; folder whose names change */
        unsigned child;   /* ADD, MOVE: what the name stands for */
        unsigned folder2; /* MOVE: to there */
        char name[80];
        char name2[80];
        uint64_t offset;
        size_t size;
        uint8_t *data;
} Step;

typedef struct Object {
        bool folder;
} Object;

typedef struct Name {
        unsigned folder;
        unsigned child;
        char name[80];
} Name;

struct PowerLog {
        char root[256];
        Step *steps;
        size_t n_steps;
        Object *objects; /* 0 is the root */
        size_t n_objects;
        Name *names; /* as they are now */
        size_t n_names;
        int fds[FDS_MAX]; /* object of each fd, or -1 */
};

PowerLog *power_log_new(const char *root)
{
        PowerLog *l = calloc(1, sizeof(PowerLog));

        snprintf(l->root, sizeof(l->root), "%s", root);
        l->objects = calloc(1, sizeof(Object));
        l->objects[0].folder = true;
        l->n_objects = 1;
        for (unsigned i = 0; i < FDS_MAX; i++)
                l->fds[i] = -1;
        return l;
}

PowerLog *power_log_free(PowerLog *l)
{
        if (l) {
                for (size_t i = 0; i < l->n_steps; i++)
                        free(l->steps[i].data);
                free(l->steps);
                free(l->objects);
                free(l->names);
                free(l);
        }
        return NULL;
}

size_t power_log_size(const PowerLog *l)
{
        return l->n_steps;
}

static Step *add_step(PowerLog *l, StepKind kind, int object)
{
        assert_true(object >= 0);
        l->steps = realloc(l->steps, (l->n_steps + 1) * sizeof(Step));
        assert_non_null(l->steps);
        l->steps[l->n_steps] = (Step){ .kind = kind, .object = (unsigned)object };
        return &l->steps[l->n_steps++];
}

static int object_of(const PowerLog *l, int fd)
{
        return fd >= 0 && fd < FDS_MAX ? l->fds[fd] : -1;
}

static Name *find_name(PowerLog *l, int folder, const char *name)
{
        for (size_t i = 0; i < l->n_names; i++)
                if (l->names[i].folder == (unsigned)folder && strcmp(l->names[i].name, name) == 0)
                        return &l->names[i];
        return NULL;
}

static void set_name(PowerLog *l, int folder, const char *name, unsigned child)
{
        Name *n = find_name(l, folder, name);

        if (!n) {
                l->names = realloc(l->names, (l->n_names + 1) * sizeof(Name));
                assert_non_null(l->names);
                n = &l->names[l->n_names++];
                *n = (Name){ .folder = (unsigned)folder };
                snprintf(n->name, sizeof(n->name), "%s", name);
        }
        n->child = child;
}

static void drop_name(PowerLog *l, int folder, const char *name)
{
        Name *n = find_name(l, folder, name);

        if (n)
                *n = l->names[--l->n_names];
}

static unsigned make_object(PowerLog *l, bool folder)
{
        l->objects = realloc(l->objects, (l->n_objects + 1) * sizeof(Object));
        assert_non_null(l->objects);
        l->objects[l->n_objects].folder = folder;
        return (unsigned)l->n_objects++;
}

static unsigned add_child(PowerLog *l, int folder, const char *name, bool is_folder)
{
        unsigned child = make_object(l, is_folder);
        Step *s = add_step(l, STEP_ADD, folder);

        s->child = child;
        snprintf(s->name, sizeof(s->name), "%s", name);
        set_name(l, folder, name, child);
        return child;
}

void power_log_open(PowerLog *l, int dirfd, const char *path, int flags, int fd, bool made)
{
        int folder = dirfd == AT_FDCWD ? -1 : object_of(l, dirfd);
        Name *n;

        assert_true(fd < FDS_MAX);
        if (dirfd == AT_FDCWD) {
                l->fds[fd] = strcmp(path, l->root) == 0 ? 0 : -1;
                return;
        }
        assert_true(folder >= 0);
        if (made)
                l->fds[fd] = (int)add_child(l, folder, path, false);
        else {
                n = find_name(l, folder, path);
                assert_non_null(n);
                l->fds[fd] = (int)n->child;
                if (flags & O_TRUNC)
                        add_step(l, STEP_TRUNCATE, l->fds[fd]);
        }
}

void power_log_close(PowerLog *l, int fd)
{
        l->fds[fd] = -1;
}

void power_log_write(PowerLog *l, int fd, const struct iovec *iov, int n_iov, size_t size, off_t offset)
{
        Step *s = add_step(l, STEP_WRITE, object_of(l, fd));
        size_t done = 0;

        s->offset = (uint64_t)offset;
        s->size = size;
        s->data = malloc(size);
        for (int i = 0; i < n_iov && done < size; i++) {
                size_t n = iov[i].iov_len < size - done ? iov[i].iov_len : size - done;

                if (n > 0)
                        memcpy(s->data + done, iov[i].iov_base, n);
                done += n;
        }
}

void power_log_sync(PowerLog *l, int fd)
{
        add_step(l, STEP_SYNC, object_of(l, fd));
}

void power_log_truncate(PowerLog *l, int fd, off_t size)
{
        add_step(l, STEP_TRUNCATE, object_of(l, fd))->size = (size_t)size;
}

void power_log_rename(PowerLog *l, int from, const char *old, int to, const char *new)
{
        int folder = object_of(l, from), folder2 = object_of(l, to);
        Name *n = find_name(l, folder, old);
        unsigned child;
        Step *s;

        assert_non_null(n);
        child = n->child;
        s = add_step(l, STEP_MOVE, folder);
        s->child = child;
        s->folder2 = (unsigned)folder2;
        snprintf(s->name, sizeof(s->name), "%s", old);
        snprintf(s->name2, sizeof(s->name2), "%s", new);
        drop_name(l, folder, old);
        set_name(l, folder2, new, child);
}

void power_log_link(PowerLog *l, int from, const char *old, int to, const char *new)
{
        Name *n = find_name(l, object_of(l, from), old);
        unsigned child;
        Step *s;

        assert_non_null(n);
        child = n->child;
        s = add_step(l, STEP_ADD, object_of(l, to));
        s->child = child;
        snprintf(s->name, sizeof(s->name), "%s", new);
        set_name(l, object_of(l, to), new, child);
}

void power_log_unlink(PowerLog *l, int dirfd, const char *path)
{
        Step *s = add_step(l, STEP_REMOVE, object_of(l, dirfd));

        snprintf(s->name, sizeof(s->name), "%s", path);
        drop_name(l, object_of(l, dirfd), path);
}

void power_log_mkdir(PowerLog *l, int dirfd, const char *path)
{
        if (dirfd != AT_FDCWD)
                (void)add_child(l, object_of(l, dirfd), path, true);
}

/* ---- what a power cut leaves ---- */

typedef struct Image {
        PowerLog names; /* only its names are used */
        uint8_t **data; /* of each object */
        size_t *size;
        uint64_t seed;
} Image;

static uint64_t next_random(uint64_t *seed)
{
        uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static void resize(Image *image, unsigned object, size_t size)
{
        image->data[object] = realloc(image->data[object], size + 1);
        assert_non_null(image->data[object]);
        if (size > image->size[object])
                memset(image->data[object] + image->size[object], 0, size - image->size[object]);
        image->size[object] = size;
}

/* Whole, or sector by sector as chance has it. */
static void apply_write(Image *image, const Step *s, unsigned percent)
{
        size_t done = 0;

        if (s->offset + s->size > image->size[s->object] && (percent == 100 || next_random(&image->seed) % 2))
                resize(image, s->object, s->offset + s->size);
        while (done < s->size) {
                uint64_t at = s->offset + done;
                size_t n = SECTOR - at % SECTOR;

                n = n < s->size - done ? n : s->size - done;
                if (percent == 100 || next_random(&image->seed) % 100 < percent) {
                        if (at + n > image->size[s->object])
                                resize(image, s->object, at + n);
                        memcpy(image->data[s->object] + at, s->data + done, n);
                }
                done += n;
        }
}

static void apply_step(Image *image, const Step *s, unsigned percent)
{
        switch (s->kind) {
        case STEP_WRITE:
                apply_write(image, s, percent);
                break;
        case STEP_TRUNCATE:
                resize(image, s->object, s->size);
                break;
        case STEP_ADD:
                set_name(&image->names, (int)s->object, s->name, s->child);
                break;
        case STEP_REMOVE:
                drop_name(&image->names, (int)s->object, s->name);
                break;
        case STEP_MOVE:
                drop_name(&image->names, (int)s->object, s->name);
                set_name(&image->names, (int)s->folder2, s->name2, s->child);
                break;
        case STEP_SYNC:
                break;
        }
}

/* A step is safe if its object was synced after it and before the cut. A move within one folder is one step
 * of that folder; into another, it is safe when either was synced. */
static bool is_synced(const PowerLog *l, size_t i, size_t n_done)
{
        const Step *s = &l->steps[i];

        for (size_t k = i + 1; k < n_done; k++)
                if (l->steps[k].kind == STEP_SYNC &&
                    (l->steps[k].object == s->object ||
                     (s->kind == STEP_MOVE && l->steps[k].object == s->folder2)))
                        return true;
        return false;
}

static void write_object(const PowerLog *l, const Image *image, unsigned object, const char *path)
{
        if (l->objects[object].folder) {
                assert_int_equal(mkdir(path, 0700), 0);
                for (size_t i = 0; i < image->names.n_names; i++) {
                        char child[512];

                        if (image->names.names[i].folder != object)
                                continue;
                        snprintf(child, sizeof(child), "%s/%s", path, image->names.names[i].name);
                        write_object(l, image, image->names.names[i].child, child);
                }
        } else {
                FILE *f = fopen(path, "we");

                assert_non_null(f);
                if (image->size[object] > 0)
                        assert_int_equal(fwrite(image->data[object], 1, image->size[object], f),
                                         image->size[object]);
                fclose(f);
        }
}

void power_log_replay(const PowerLog *l, size_t n_done, uint64_t seed, const char *target)
{
        Image image = {
                .data = calloc(l->n_objects, sizeof(uint8_t *)),
                .size = calloc(l->n_objects, sizeof(size_t)),
                .seed = seed,
        };
        static const unsigned percents[] = { 0, 100, 50, 90, 10 };
        unsigned percent = percents[next_random(&image.seed) % 5]; /* how much of the unsynced gets through */
        bool ordered = next_random(&image.seed) % 2; /* folders as a journalling file system keeps them */
        bool *cut = calloc(l->n_objects, sizeof(bool));

        for (size_t i = 0; i < n_done; i++) {
                const Step *s = &l->steps[i];

                if (is_synced(l, i, n_done)) {
                        apply_step(&image, s, 100);
                        continue;
                }
                if (s->kind == STEP_WRITE) {
                        apply_write(&image, s, percent);
                        continue;
                }
                if (ordered && cut[s->object])
                        continue;
                if (next_random(&image.seed) % 100 < (percent + 50) / 2)
                        apply_step(&image, s, 100);
                else
                        cut[s->object] = true;
        }
        write_object(l, &image, 0, target);
        for (size_t i = 0; i < l->n_objects; i++)
                free(image.data[i]);
        free(image.data);
        free(image.size);
        free(image.names.names);
        free(cut);
}
