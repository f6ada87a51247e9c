/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A message as a peer may send it. First byte: channel (low bits), guest (128). Then per frame two bytes of size, little
 * endian, and as many bytes. What is taken must keep what message.h promises.
 */

#include <string.h>

#include "pickle/reader.h"
#include "scene/dependencies.h"
#include "scene/scene.h"
#include "session/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const MessageNode *node)
{
        assert(message_text_is_clean(node->uuid->data, node->uuid->size, SCENE_UUID_MAX));
        int r = dependencies_read(node->dependencies, NULL);
        assert(r == 0);
        (void)r;
}

/* However its frames have been found, the general reader finds the same. */
static void check_set(const Message *m, Bytes *pickle)
{
        Value *v = NULL;
        int r = pickle_read(pickle, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL);
        assert(r == 0);
        (void)r;
        const Bytes *const frames[] = { m->node.uuid, m->node.owner, m->node.dependencies, m->node.payload };
        const Value *data = value_dict_get_string(v, "DATA");
        assert(value_is_string_equal(value_dict_get_string(v, "STATE"), "SET") && value_list_length(data) == 5);
        for (uint32_t i = 0; i < ELEMENTSOF(frames); i++) {
                const Value *frame = value_list_get(data, i + 1);
                assert(value_size(frame) == frames[i]->size &&
                       memcmp(value_data(frame), frames[i]->data, frames[i]->size) == 0);
        }
        value_unref(v);
}

static void check(const Message *m, bool guest)
{
        assert(m->type >= MESSAGE_COMMIT && m->type < _MESSAGE_TYPE_MAX);
        assert(!guest || m->type == MESSAGE_AUTH || m->type == MESSAGE_SERVER_INFO);
        if (m->node.uuid)
                check_node(&m->node);
        if (m->uuid.data)
                assert(message_text_is_clean(m->uuid.data, m->uuid.size, SCENE_UUID_MAX));
        for (uint32_t i = 0; m->uuids && i < value_list_length(m->uuids); i++)
                assert(value_is_string(value_list_get(m->uuids, i)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        MessageLimits limits = { .pickle = pickle_limits_default, .max_guest_bytes = 4096, .max_name = 63 };
        limits.pickle.max_values = 100000;
        Channel channel = data[0] & 1 ? CHANNEL_DATA : CHANNEL_COMMAND;
        bool guest = data[0] & 128;
        Bytes *frames[FRAMES_MAX] = {};
        size_t n = 0;
        for (size_t i = 1; n < FRAMES_MAX && i + 2 <= size; n++) {
                size_t frame = MIN((size_t)(data[i] | data[i + 1] << 8), size - i - 2);
                frames[n] = bytes_new_copy(data + i + 2, frame);
                i += 2 + frame;
        }
        Message m;
        const char *reason;
        int r = message_parse(&m, &limits, channel, frames, n, guest, &reason);
        assert(r == 0 || (r == 1 && reason && !m.data && !m.node.uuid));
        if (r == 0) {
                check(&m, guest);
                if (m.step == MESSAGE_STEP_SET)
                        check_set(&m, frames[2]);
                message_done(&m);
        }
        for (size_t i = 0; i < n; i++)
                bytes_unref(frames[i]);
        return 0;
}
