/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "pickle/writer.h"
#include "session/session-private.h"

/* What changes many times a second and means nothing after a restart. */
static const char *const transient_fields[] = {
        "view_corners", "view_matrix", "selected_objects", "frame_current", "mode_current",
};

/* Others are journalled at most this often. */
#define METADATA_JOURNAL_INTERVAL (1 * USEC_PER_SEC)

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

static bool has_lasting(const Value *fields)
{
        for (uint32_t slot = value_table_first(fields); slot != VALUE_SLOT_END; slot = value_table_next(fields, slot))
                if (!is_transient(value_table_key(fields, slot)))
                        return true;
        return false;
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

int metadata_message(Session *s, User *u, const Message *m, Bytes *const *frames)
{
        if (!user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "sent metadata in the name of somebody else", false);
        int r = join_evidence(s, u, true);
        if (r < 0)
                return r;
        if (frames[2]->size > s->config.max_metadata)
                return session_forbidden(s, u, "has more metadata than is allowed (see max_metadata)", false);
        _cleanup_value_ Value *metadata = metadata_value(u);
        if (!metadata)
                return -ENOMEM;
        r = merge(metadata, m->data);
        if (r < 0)
                return r;
        _cleanup_bytes_ Bytes *pickle = NULL;
        r = pickle_write(metadata, s->config.max_metadata, &pickle);
        if (r == -E2BIG)
                return session_forbidden(s, u, "has more metadata than is allowed (see max_metadata)", false);
        if (r < 0)
                return r;
        bytes_unref(u->metadata);
        u->metadata = TAKE_PTR(pickle);
        if (has_lasting(m->data))
                u->metadata_dirty = true;
        r = metadata_flush(s, u);
        if (r < 0)
                return r;
        _cleanup_frames_ Frames *relayed = frames_new(frames, 3);
        if (!relayed)
                return -ENOMEM;
        for (size_t i = 0; i < 3; i++)
                bytes_ref(frames[i]);
        return emit_frames_all(s, u, SEND_PRESENCE, relayed);
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

int metadata_flush(Session *s, User *u)
{
        if (!u->metadata_dirty)
                return 0;
        if (u->metadata_journalled != 0 && s->now.now < u->metadata_journalled + METADATA_JOURNAL_INTERVAL) {
                session_need(s, u->metadata_journalled + METADATA_JOURNAL_INTERVAL);
                return 0;
        }
        _cleanup_bytes_ Bytes *kept = NULL;
        int r = lasting_fields(u, &kept);
        if (r < 0)
                return r;
        u->metadata_dirty = false;
        if (u->metadata_kept && bytes_equal(kept, u->metadata_kept))
                return 0;
        u->metadata_journalled = s->now.now;
        bytes_unref(u->metadata_kept);
        u->metadata_kept = TAKE_PTR(kept);
        return journal(s, RECORD_METADATA, u, u->name, NULL, u->metadata_kept);
}
