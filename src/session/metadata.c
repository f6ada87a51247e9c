/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "pickle/writer.h"
#include "session/session-private.h"

/* What changes many times a second and means nothing after a restart. */
static const char *const transient_fields[] = {
        "view_corners", "view_matrix", "selected_objects", "mode_current",
};

/* The others are journalled at most this often, and a frame alone, which playing back changes, even less; whatever there is
 * when the user leaves. */
#define METADATA_JOURNAL_INTERVAL (1 * USEC_PER_SEC)
#define METADATA_FRAME_INTERVAL (10 * USEC_PER_SEC)

static bool is_transient(const Value *key)
{
        for (size_t i = 0; i < ELEMENTSOF(transient_fields); i++)
                if (value_is_string_equal(key, transient_fields[i]))
                        return true;
        return false;
}

/* What has been accepted must be readable again, whatever the limits were then: its size is bounded. */
static const PickleLimits kept_limits = {
        .max_size = SIZE_MAX, .max_depth = VALUE_HASH_DEPTH_MAX, .max_memo = UINT32_MAX, .max_values = UINT32_MAX,
};

Value *metadata_value(const User *u)
{
        Value *v = NULL;
        if (!u->metadata)
                return value_dict_new();
        return pickle_read(u->metadata, PICKLE_PROFILE_DATA, &kept_limits, &v, NULL) == 0 ? v : NULL;
}

bool metadata_is_good(Bytes *pickle)
{
        _cleanup_value_ Value *v = NULL;
        return pickle_read(pickle, PICKLE_PROFILE_DATA, &kept_limits, &v, NULL) == 0 && value_is_dict(v);
}

/* Something will have to be journalled. */
static void note_lasting(User *u, const Value *fields)
{
        for (uint32_t slot = value_table_first(fields); slot != VALUE_SLOT_END; slot = value_table_next(fields, slot)) {
                const Value *key = value_table_key(fields, slot);
                bool is_frame = value_is_string_equal(key, "frame_current");
                u->metadata_moved |= is_frame;
                u->metadata_dirty |= !is_frame && !is_transient(key);
        }
}

static int merge(Value *metadata, const Value *fields)
{
        for (uint32_t slot = value_table_first(fields); slot != VALUE_SLOT_END; slot = value_table_next(fields, slot)) {
                int r = value_dict_set(metadata, value_table_key(fields, slot), value_dict_value(fields, slot), NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* 0, 1 when it is too much and has been refused. */
static int set_metadata(Session *s, User *u, const Value *metadata)
{
        Bytes *pickle = NULL;
        int r = pickle_write(metadata, s->config.max_metadata, &pickle);
        if (r == -E2BIG) {
                r = session_forbidden(s, u, "has more metadata than is allowed (see max_metadata)", false);
                return r < 0 ? r : 1;
        }
        if (r < 0)
                return r;
        bytes_unref(u->metadata);
        u->metadata = pickle;
        table_forget(s);
        return 0;
}

/* The others do not know the user yet, and would fail on it. */
static int hold_back(Session *s, User *u, Frames *relayed)
{
        u->untold[u->n_untold++] = (struct UntoldMetadata){ frames_ref(relayed), s->serial };
        return u->n_untold == USER_UNTOLD_MAX ? table_send_all(s) : 0;
}

/* Who came later was let in with a table that had it. */
static int tell(Session *s, const User *u, const struct UntoldMetadata *untold)
{
        for (size_t i = 0; i < s->n_users; i++) {
                const User *to = s->users[i];
                if (to == u || to->serial > untold->last_user)
                        continue;
                int r = emit_send(s, to, CHANNEL_COMMAND, SEND_PRESENCE, untold->frames, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int metadata_announced(Session *s, User *u)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < u->n_untold; i++)
                r = tell(s, u, &u->untold[i]);
        user_forget_untold(u);
        return r;
}

/* As it came, unless something has been taken out. */
static int pass_on(Session *s, User *u, const Message *m, Bytes *const *frames, bool changed)
{
        _cleanup_frames_ Frames *relayed = NULL;
        int r = 0;
        if (changed) {
                r = answer_from(s, MESSAGE_METADATA, u->name, value_ref(m->data), &relayed);
        } else {
                relayed = frames_new(frames, 3);
                for (size_t i = 0; relayed && i < 3; i++)
                        bytes_ref(frames[i]);
                r = relayed ? 0 : -ENOMEM;
        }
        if (r == 0 && !u->announced)
                return hold_back(s, u, relayed);
        return r < 0 ? r : emit_frames_all(s, u, SEND_PRESENCE, relayed);
}

int metadata_message(Session *s, User *u, const Message *m, Bytes *const *frames)
{
        if (!user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "sent metadata in the name of somebody else", false);
        int r = join_evidence(s, u, true);
        if (r < 0)
                return r;
        if (frames[2]->size - history_own_size(m->data) > s->config.max_metadata)
                return session_forbidden(s, u, "has more metadata than is allowed (see max_metadata)", false);
        _cleanup_value_ Value *metadata = metadata_value(u);
        if (!metadata)
                return -ENOMEM;
        int taken = history_take(s, u, m->data, metadata);
        if (taken < 0)
                return taken;
        if (taken > 0 && value_table_length(m->data) == 0)
                return set_metadata(s, u, metadata);
        r = merge(metadata, m->data);
        if (r == 0)
                r = set_metadata(s, u, metadata);
        if (r != 0)
                return MIN(r, 0);
        note_lasting(u, m->data);
        r = metadata_flush(s, u);
        if (r == 0)
                r = pass_on(s, u, m, frames, taken > 0);
        /* The client goes on telling its colour until it finds it in its own entry. */
        if (r == 0 && !u->told_colour && value_dict_get_string(m->data, "color")) {
                u->told_colour = true;
                r = table_send(s, u);
        }
        return r;
}

static int lasting_fields(const User *u, Bytes **ret)
{
        _cleanup_value_ Value *metadata = metadata_value(u);
        _cleanup_value_ Value *kept = value_dict_new();
        if (!metadata || !kept)
                return -ENOMEM;
        for (uint32_t slot = value_table_first(metadata); slot != VALUE_SLOT_END;
             slot = value_table_next(metadata, slot)) {
                Value *key = value_table_key(metadata, slot);
                if (!is_transient(key) && value_dict_set(kept, key, value_dict_value(metadata, slot), NULL) < 0)
                        return -ENOMEM;
        }
        return pickle_write(kept, SIZE_MAX, ret);
}

int metadata_settle(Session *s, User *u)
{
        if (!u->metadata_dirty && !u->metadata_moved)
                return 0;
        _cleanup_bytes_ Bytes *kept = NULL;
        int r = lasting_fields(u, &kept);
        if (r < 0)
                return r;
        u->metadata_dirty = u->metadata_moved = false;
        if (u->metadata_kept && bytes_equal(kept, u->metadata_kept))
                return 0;
        u->metadata_journalled = s->now.now;
        bytes_unref(u->metadata_kept);
        u->metadata_kept = TAKE_PTR(kept);
        return journal(s, RECORD_METADATA, u, u->name, NULL, u->metadata_kept);
}

int metadata_flush(Session *s, User *u)
{
        if (!u->metadata_dirty && !u->metadata_moved)
                return 0;
        uint64_t interval = u->metadata_dirty ? METADATA_JOURNAL_INTERVAL : METADATA_FRAME_INTERVAL;
        if (u->metadata_journalled != 0 && s->now.now < u->metadata_journalled + interval) {
                session_need(s, u->metadata_journalled + interval);
                return 0;
        }
        return metadata_settle(s, u);
}
