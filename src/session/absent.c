/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/absent.h"

void absent_done(Absent *a)
{
        bytes_unref(a->name);
        bytes_unref(a->metadata);
        bytes_unref(a->tasks);
        *a = (Absent){ 0 };
}

void absent_list_done(AbsentList *list)
{
        for (size_t i = 0; i < list->n; i++)
                absent_done(&list->items[i]);
        list->n = 0;
}

static void remove_at(AbsentList *list, size_t i)
{
        list->n--;
        memmove(list->items + i, list->items + i + 1, (list->n - i) * sizeof *list->items);
}

bool absent_take(AbsentList *list, const void *name, size_t size, Absent *ret)
{
        for (size_t i = 0; i < list->n; i++) {
                const Bytes *b = list->items[i].name;
                if (b->size != size || memcmp(b->data, name, size) != 0)
                        continue;
                *ret = list->items[i];
                remove_at(list, i);
                return true;
        }
        return false;
}

void absent_put(AbsentList *list, Bytes *name, Bytes *metadata, Bytes *tasks, uint64_t tasks_stamp)
{
        Absent old;
        if (absent_take(list, name->data, name->size, &old)) {
                absent_done(&old);
        } else if (list->n == ABSENT_MAX) {
                absent_done(&list->items[0]);
                remove_at(list, 0);
        }
        list->items[list->n++] = (Absent){ bytes_ref(name), bytes_ref(metadata), bytes_ref(tasks), tasks_stamp };
}
