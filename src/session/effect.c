/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/effect.h"

static void effect_done(Effect *e)
{
        switch (e->kind) {
        case EFFECT_JOURNAL:
                session_record_done(&e->journal.record);
                break;
        case EFFECT_SEND:
                frames_unref(e->send.frames);
                break;
        case EFFECT_SAVE:
                free(e->save.reason);
                break;
        case EFFECT_ENCODE:
                scene_fold_free(e->encode.fold);
                break;
        case EFFECT_LOG:
                free(e->log.user);
                free(e->log.address);
                free(e->log.reason);
                free(e->log.node);
                free(e->log.admin);
                free(e->log.text);
                break;
        case EFFECT_PENALTY:
                free(e->penalty.address);
                break;
        case EFFECT_OPEN:
        case EFFECT_CLOSE:
        case EFFECT_HOLD:
        case EFFECT_GATHER:
                break;
        }
}

void effect_list_clear(EffectList *list)
{
        for (size_t i = 0; i < list->n_items; i++)
                effect_done(&list->items[i]);
        list->n_items = 0;
        list->bytes = 0;
}

void effect_list_done(EffectList *list)
{
        effect_list_clear(list);
        free(list->items);
        *list = (EffectList){};
}

Effect *effect_list_push(EffectList *list, EffectKind kind)
{
        if (list->n_items == list->n_allocated) {
                size_t n_allocated = list->n_allocated * 2 + 16;
                Effect *items = reallocarray(list->items, n_allocated, sizeof *items);
                if (!items)
                        return NULL;
                list->items = items;
                list->n_allocated = n_allocated;
        }
        Effect *e = &list->items[list->n_items++];
        *e = (Effect){ .kind = kind };
        return e;
}
