/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/writer.h"
#include "scene/fold.h"
#include "scene/node.h"

struct SceneFold {
        PickleLimits limits;
        Bytes *base;
        size_t n_deltas;
        Bytes *deltas[];
};

SceneFold *scene_fold_new(Bytes *base, Bytes *const *deltas, size_t n_deltas, const PickleLimits *limits)
{
        SceneFold *f = malloc(sizeof *f + n_deltas * sizeof f->deltas[0]);
        if (!f)
                return NULL;
        *f = (SceneFold){ .limits = *limits, .base = bytes_ref(base), .n_deltas = n_deltas };
        for (size_t i = 0; i < n_deltas; i++)
                f->deltas[i] = bytes_ref(deltas[i]);
        return f;
}

SceneFold *scene_fold_free(SceneFold *f)
{
        if (!f)
                return NULL;
        bytes_unref(f->base);
        for (size_t i = 0; i < f->n_deltas; i++)
                bytes_unref(f->deltas[i]);
        free(f);
        return NULL;
}

int scene_fold_run(const SceneFold *f, Bytes **ret)
{
        if (f->n_deltas == 0) {
                *ret = bytes_ref(f->base);
                return 0;
        }
        _cleanup_value_ Value *graph = NULL;
        int r = scene_graph_make(f->base, f->deltas, f->n_deltas, &f->limits, &graph);
        if (r < 0)
                return r;
        r = pickle_write(graph, f->limits.max_size, ret);
        return r == -EINVAL ? -EBADMSG : r;
}
