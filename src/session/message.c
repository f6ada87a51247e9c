/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <errno.h>

#include "pickle/reader.h"
#include "scene/dependencies.h"
#include "scene/scene.h"
#include "session/message.h"

/* The longest pickle of a small int that some Python writes: protocol, frame, LONG1, stop. */
#define TYPE_PICKLE_MAX 32u

/* Of a dependency pickle: beside it a record holds an owner and a reason. */
#define DEPENDENCIES_MAX (STORE_META_MAX - 4096u)

/* A command that others get as it came may be no larger than what it says: so much for each uuid, and for the rest. */
#define COMMAND_UUID_SIZE (SCENE_UUID_MAX + 16u)
#define COMMAND_REST_SIZE 4096u

/* Nor may a Right name the same node without end, which a memo does with two bytes each time: work goes by the bytes. */
#define RIGHT_REPEATS (64u << 10)
#define RIGHT_UUID_BYTES 16u

/* ---- text ---- */

/* Length of the UTF-8 sequence at p, 0 when it is malformed, overlong, a surrogate, or beyond Unicode. */
static size_t utf8_sequence(const uint8_t *p, size_t size, uint32_t *ret)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 :
                   p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
        if (n == 0 || n > size)
                return 0;
        uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < smallest[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
                return 0;
        *ret = c;
        return n;
}

bool message_text_is_clean(const void *data, size_t size, size_t max)
{
        if (size == 0 || size > max)
                return false;
        const uint8_t *p = data;
        for (size_t i = 0; i < size;) {
                if (p[i] >= 0x20 && p[i] < 0x7f) {
                        i++;
                        continue;
                }
                uint32_t c;
                size_t n = utf8_sequence(p + i, size - i, &c);
                if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
                        return false;
                i += n;
        }
        return true;
}

static bool value_is_uuid(const Value *v)
{
        return v && value_is_string(v) && message_text_is_clean(value_data(v), value_size(v), SCENE_UUID_MAX);
}

static MessageText value_text(const Value *v)
{
        return (MessageText){ .data = value_data(v), .size = value_size(v) };
}

/* A str, or None (a field that is not there counts as None). */
static bool value_text_or_none(const Value *v, MessageText *ret)
{
        *ret = (MessageText){};
        if (!v || value_type(v) == VALUE_NONE)
                return true;
        if (!value_is_string(v))
                return false;
        *ret = value_text(v);
        return true;
}

/* ---- type ---- */

MessageType message_peek_type(Bytes *const *frames, size_t n_frames)
{
        if (n_frames == 0)
                return _MESSAGE_TYPE_MAX;
        Bytes *f = frames[0];
        int64_t number = -1;
        if (f->size == 5 && memcmp(f->data, "\x80\x04K", 3) == 0 && f->data[4] == '.') {
                number = f->data[3];
        } else if (f->size <= TYPE_PICKLE_MAX) {
                _cleanup_value_ Value *v = NULL;
                if (pickle_read(f, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) == 0 &&
                    value_type(v) == VALUE_INT)
                        number = value_int_get(v);
        }
        return number >= MESSAGE_COMMIT && number < _MESSAGE_TYPE_MAX ? (MessageType)number : _MESSAGE_TYPE_MAX;
}

/* ---- Node and Commit ---- */

/* Counts what a uuid takes in a pickle, however it is written: as often as it is named, with opcode, length and memo. */
static int count_dependency(void *userdata, const void *uuid, size_t size)
{
        size_t *total = userdata;
        *total += size + 4;
        return size > SCENE_UUID_MAX ? 1 : 0;
}

/* They go into the head of a record, which has a limit. */
static int parse_dependencies(Bytes *pickle, const char **ret_reason)
{
        size_t total = 0;
        *ret_reason = "has more dependencies than can be kept";
        if (pickle->size > DEPENDENCIES_MAX)
                return 1;
        int r = dependencies_each(pickle, count_dependency, &total);
        if (r < 0 || (r == 0 && total <= DEPENDENCIES_MAX))
                return r;
        if (r > 0)
                *ret_reason = "has dependencies that are not a list of uuids";
        return 1;
}

static int parse_node(MessageNode *node, const MessageLimits *limits, Bytes *const *frames, const char **ret_reason)
{
        *ret_reason = "names a node or owner with no proper name";
        if (!message_text_is_clean(frames[1]->data, frames[1]->size, SCENE_UUID_MAX) ||
            !message_text_is_clean(frames[2]->data, frames[2]->size, limits->max_name))
                return 1;
        int r = parse_dependencies(frames[3], ret_reason);
        if (r != 0)
                return r;
        r = pickle_scan(frames[4]->data, frames[4]->size, PICKLE_PROFILE_DATA, &limits->pickle, NULL);
        if (r != 0) {
                if (r > 0)
                        *ret_reason = "has data that is no harmless pickle";
                return r < 0 ? r : 1;
        }
        *node = (MessageNode){
                .uuid = bytes_ref(frames[1]),
                .owner = bytes_ref(frames[2]),
                .dependencies = bytes_ref(frames[3]),
                .payload = bytes_ref(frames[4]),
        };
        return 0;
}

static int parse_commit(MessageNode *node, const MessageLimits *limits, Bytes *const *frames, const char **ret_reason)
{
        *ret_reason = "names a node with no proper name";
        if (!message_text_is_clean(frames[1]->data, frames[1]->size, SCENE_UUID_MAX))
                return 1;
        *ret_reason = "is too large";
        if (frames[3]->size > limits->pickle.max_size)
                return 1;
        int r = parse_dependencies(frames[2], ret_reason);
        if (r != 0)
                return r;
        *node = (MessageNode){
                .uuid = bytes_ref(frames[1]),
                .dependencies = bytes_ref(frames[2]),
                .payload = bytes_ref(frames[3]),
        };
        return 0;
}

static int parse_data_channel(Message *m, const MessageLimits *limits, Bytes *const *frames, size_t n_frames,
                              const char **ret_reason)
{
        switch (m->type) {
        case MESSAGE_NODE:
                *ret_reason = "is a Node but has not five frames";
                return n_frames == 5 ? parse_node(&m->node, limits, frames, ret_reason) : 1;
        case MESSAGE_COMMIT:
                *ret_reason = "is a Commit but has not four frames";
                return n_frames == 4 ? parse_commit(&m->node, limits, frames, ret_reason) : 1;
        default:
                *ret_reason = "does not belong on the data channel";
                return 1;
        }
}

/* ---- a node of an init, as Python writes it ---- */

#define NODE_FRAMES 5u

/* What is left to be walked over. */
typedef struct Cursor {
        const uint8_t *p, *end;
} Cursor;

static bool skip(Cursor *c, const char *opcodes)
{
        size_t n = strlen(opcodes);
        if ((size_t)(c->end - c->p) < n || memcmp(c->p, opcodes, n) != 0)
                return false;
        c->p += n;
        return true;
}

/* Python puts nearly everything into the memo. */
static bool skip_memoised(Cursor *c, const char *opcodes)
{
        if (!skip(c, opcodes))
                return false;
        (void)skip(c, "\x94");
        return true;
}

static bool take_number(Cursor *c, size_t size, uint64_t *ret)
{
        uint64_t number = 0;
        if ((size_t)(c->end - c->p) < size)
                return false;
        memcpy(&number, c->p, size);
        *ret = le64toh(number);
        c->p += size;
        return true;
}

/* One frame with all the rest, or none. */
static bool skip_head(Cursor *c)
{
        uint64_t size;
        if (!skip(c, "\x80\x04"))
                return false;
        return !skip(c, "\x95") || (take_number(c, 8, &size) && size == (uint64_t)(c->end - c->p));
}

static bool take_bytes(Cursor *c, MessageText *ret)
{
        uint64_t size;
        bool is_short = skip(c, "C");
        if ((!is_short && !skip(c, "B")) || !take_number(c, is_short ? 1 : 4, &size) || (uint64_t)(c->end - c->p) < size)
                return false;
        *ret = (MessageText){ .data = c->p, .size = size };
        c->p += size;
        (void)skip(c, "\x94");
        return true;
}

/* Finds the frames of {'STATE': 'SET', 'DATA': [frame, ...]} where they stand. There are thousands of those in an init, and
 * values made of all that is in one would take longer than to look at the node. False: it is something else, or written in
 * another way (Python does that from 64 KiB on), and has to be read. */
static bool find_set_frames(const Bytes *pickle, MessageText ret[static NODE_FRAMES])
{
        Cursor c = { .p = pickle->data, .end = pickle->data + pickle->size };
        if (!skip_head(&c) || !skip_memoised(&c, "}") || !skip(&c, "(") || !skip_memoised(&c, "\x8c\x05STATE") ||
            !skip_memoised(&c, "\x8c\x03SET") || !skip_memoised(&c, "\x8c\x04" "DATA") || !skip_memoised(&c, "]") ||
            !skip(&c, "("))
                return false;
        for (size_t i = 0; i < NODE_FRAMES; i++)
                if (!take_bytes(&c, &ret[i]))
                        return false;
        return skip(&c, "eu.") && c.p == c.end;
}

/* ---- commands ---- */

static int parse_auth(Message *m, const MessageLimits *limits)
{
        const Value *name = value_dict_get_string(m->data, "AUTH_ID");
        const Value *version = value_dict_get_string(m->data, "VERSION");
        if (!name || !value_is_string(name) ||
            !value_text_or_none(value_dict_get_string(m->data, "S_PWD"), &m->auth.server_password) ||
            !value_text_or_none(value_dict_get_string(m->data, "A_PWD"), &m->auth.admin_password) ||
            !value_text_or_none(version, &m->auth.version))
                return 1;
        m->name = value_text(name);
        const Value *kind = value_dict_get_string(m->data, "AUTH_TYPE");
        if (!kind || (!value_is_string_equal(kind, "ADMIN") && !value_is_string_equal(kind, "CLIENT")))
                return 1;
        m->auth.admin = value_is_string_equal(kind, "ADMIN");
        return 0;
}

static int parse_snapshot(Message *m)
{
        const Value *state = value_dict_get_string(m->data, "STATE");
        if (!state)
                return 1;
        if (value_is_string_equal(state, "REQUEST_INIT")) {
                m->step = MESSAGE_STEP_REQUEST_INIT;
        } else if (value_is_string_equal(state, "DONE")) {
                m->step = MESSAGE_STEP_DONE;
        } else if (value_is_string_equal(state, "GET")) {
                const Value *id = value_dict_get_string(m->data, "ID");
                if (!value_is_uuid(id))
                        return 1;
                m->uuid = value_text(id);
                m->step = MESSAGE_STEP_GET;
        } else {
                return 1;
        }
        return 0;
}

static bool value_is_uuid_list(const Value *v)
{
        if (!v || !value_is_list(v))
                return false;
        for (uint32_t i = 0; i < value_list_length(v); i++)
                if (!value_is_uuid(value_list_get(v, i)))
                        return false;
        return true;
}

/* A slice keeps all of the message: only where the payload is most of it. */
static Bytes *payload_new(Bytes *pickle, const MessageText *payload)
{
        if (payload->size >= VALUE_SLICE_MIN && payload->data >= pickle->data &&
            payload->data < pickle->data + pickle->size)
                return bytes_new_slice(pickle, (size_t)(payload->data - pickle->data), payload->size);
        return bytes_new_copy(payload->data, payload->size);
}

/* What is short, in one allocation. */
static int short_frames_new(const MessageText *found, size_t n, Bytes **ret)
{
        size_t size = 0;
        for (size_t i = 0; i < n; i++)
                size += found[i].size;
        void *room;
        BytesBlock *block = bytes_block_new(n, size, &room);
        if (!block)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                room = bytes_block_copy(block, i, room, found[i].data, found[i].size);
                ret[i] = &block->item[i];
        }
        return 0;
}

static bool are_set_frames_of_node(const Bytes *pickle, const MessageText found[static NODE_FRAMES])
{
        Bytes type, *first = &type;
        size_t size = 0;
        for (size_t i = 0; i < NODE_FRAMES; i++)
                size += found[i].size;
        bytes_init_embedded(&type, found[0].data, found[0].size, NULL, NULL);
        return pickle->size <= size + COMMAND_REST_SIZE && message_peek_type(&first, 1) == MESSAGE_NODE;
}

static int parse_set_frames(Message *m, const MessageLimits *limits, Bytes *pickle,
                            const MessageText found[static NODE_FRAMES], const char **ret_reason)
{
        m->step = MESSAGE_STEP_SET;
        if (!are_set_frames_of_node(pickle, found))
                return 1;
        Bytes *frames[NODE_FRAMES] = { [NODE_FRAMES - 1] = payload_new(pickle, &found[NODE_FRAMES - 1]) };
        int r = frames[NODE_FRAMES - 1] ? short_frames_new(&found[1], NODE_FRAMES - 2, &frames[1]) : -ENOMEM;
        if (r == 0)
                r = parse_node(&m->node, limits, frames, ret_reason);
        for (size_t i = 1; i < NODE_FRAMES; i++)
                bytes_unref(frames[i]);
        return r;
}

static int parse_init_set(Message *m, const MessageLimits *limits, Bytes *pickle, const char **ret_reason)
{
        const Value *data = value_dict_get_string(m->data, "DATA");
        if (!data || !value_is_list(data) || value_list_length(data) != NODE_FRAMES)
                return 1;
        MessageText found[NODE_FRAMES];
        for (uint32_t i = 0; i < NODE_FRAMES; i++) {
                const Value *frame = value_list_get(data, i);
                if (value_type(frame) != VALUE_BYTES)
                        return 1;
                found[i] = value_text(frame);
        }
        return parse_set_frames(m, limits, pickle, found, ret_reason);
}

static int parse_server_snapshot(Message *m, const MessageLimits *limits, Bytes *pickle, const char **ret_reason)
{
        const Value *state = value_dict_get_string(m->data, "STATE");
        if (!state)
                return 1;
        if (value_is_string_equal(state, "SET"))
                return parse_init_set(m, limits, pickle, ret_reason);
        if (value_is_string_equal(state, "END")) {
                m->step = MESSAGE_STEP_END;
                return 0;
        }
        if (!value_is_string_equal(state, "INIT"))
                return 1;
        m->step = MESSAGE_STEP_INIT;
        Value *nodes = value_dict_get_string(m->data, "NODES");
        const Value *size = value_dict_get_string(m->data, "SIZE");
        if (!value_is_uuid_list(nodes) || !size || value_type(size) != VALUE_INT ||
            value_int_get(size) != value_list_length(nodes))
                return 1;
        m->uuids = nodes;
        return 0;
}

static int parse_right(Message *m, const MessageLimits *limits, const Bytes *pickle)
{
        const Value *owner = value_dict_get_string(m->data, "owner");
        m->uuids = value_dict_get_string(m->data, "uuid");
        if (m->uuids && value_is_list(m->uuids) &&
            value_list_length(m->uuids) > RIGHT_REPEATS + pickle->size / RIGHT_UUID_BYTES)
                return 1;
        if (!owner || !value_is_string(owner) || !value_is_uuid_list(m->uuids) ||
            !message_text_is_clean(value_data(owner), value_size(owner), limits->max_name))
                return 1;
        m->name = value_text(owner);
        return 0;
}

static int parse_kick(Message *m)
{
        const Value *user = value_dict_get_string(m->data, "user");
        if (!user || !value_is_string(user))
                return 1;
        m->name = value_text(user);
        return 0;
}

static bool is_in_proportion(const Bytes *pickle, size_t n_uuids)
{
        return pickle->size <= COMMAND_REST_SIZE + n_uuids * COMMAND_UUID_SIZE;
}

static int parse_command_data(Message *m, const MessageLimits *limits, Bytes *pickle, const char **ret_reason)
{
        switch (m->type) {
        case MESSAGE_AUTH:
                *ret_reason = "is a login of the wrong form";
                return parse_auth(m, limits);
        case MESSAGE_SERVER_INFO:
                return 0;
        case MESSAGE_SNAPSHOT:
                *ret_reason = "is no step of a join";
                return parse_snapshot(m);
        case MESSAGE_SERVER_SNAPSHOT:
                *ret_reason = "is no step of an init";
                return parse_server_snapshot(m, limits, pickle, ret_reason);
        case MESSAGE_DELETE:
                *ret_reason = "deletes something that is no node";
                if (!value_is_uuid(m->data) || !is_in_proportion(pickle, 1))
                        return 1;
                m->uuid = value_text(m->data);
                return 0;
        case MESSAGE_RIGHT:
                *ret_reason = "is a change of rights of the wrong form";
                return parse_right(m, limits, pickle) || !is_in_proportion(pickle, value_list_length(m->uuids));
        case MESSAGE_KICK:
                *ret_reason = "kicks nobody";
                return parse_kick(m);
        case MESSAGE_METADATA:
                *ret_reason = "has metadata that is no dict";
                return value_is_dict(m->data) ? 0 : 1;
        default:
                *ret_reason = "is of a type that no client sends";
                return 1;
        }
}

static int parse_command_channel(Message *m, const MessageLimits *limits, Bytes *const *frames, size_t n_frames,
                                 const char **ret_reason)
{
        *ret_reason = "does not belong on the command channel";
        if (m->type <= MESSAGE_NODE)
                return 1;
        *ret_reason = "is a command but has not three frames";
        if (n_frames != 3)
                return 1;
        *ret_reason = "has an owner that is no name";
        /* A login with an improper name deserves an answer that says so. */
        if (m->type != MESSAGE_AUTH && !message_text_is_clean(frames[1]->data, frames[1]->size, limits->max_name))
                return 1;
        m->owner = frames[1];
        MessageText found[NODE_FRAMES];
        if (m->type == MESSAGE_SERVER_SNAPSHOT && frames[2]->size <= limits->pickle.max_size &&
            find_set_frames(frames[2], found)) {
                *ret_reason = "is no step of an init";
                return parse_set_frames(m, limits, frames[2], found, ret_reason);
        }
        *ret_reason = "holds no harmless pickle";
        int r = pickle_read(frames[2], PICKLE_PROFILE_DATA, &limits->pickle, &m->data, NULL);
        if (r != 0)
                return r < 0 ? r : 1;
        return parse_command_data(m, limits, frames[2], ret_reason);
}

int message_parse(Message *m, const MessageLimits *limits, Channel channel, Bytes *const *frames, size_t n_frames,
                  bool guest, const char **ret_reason)
{
        *m = (Message){ .type = message_peek_type(frames, MIN(n_frames, (size_t)FRAMES_MAX)) };
        *ret_reason = "begins with no known type";
        if (m->type == _MESSAGE_TYPE_MAX)
                return 1;
        if (guest) {
                *ret_reason = "only a logged-in user may send";
                if (m->type != MESSAGE_AUTH && m->type != MESSAGE_SERVER_INFO)
                        return 1;
                size_t size = 0;
                for (size_t i = 0; i < MIN(n_frames, (size_t)FRAMES_MAX); i++)
                        size += frames[i]->size;
                *ret_reason = "is too large for somebody who has not logged in";
                if (size > limits->max_guest_bytes)
                        return 1;
        }
        int r = channel == CHANNEL_DATA ? parse_data_channel(m, limits, frames, n_frames, ret_reason) :
                                          parse_command_channel(m, limits, frames, n_frames, ret_reason);
        if (r != 0)
                message_done(m);
        return r;
}

void message_done(Message *m)
{
        bytes_unref(m->node.uuid);
        bytes_unref(m->node.owner);
        bytes_unref(m->node.dependencies);
        bytes_unref(m->node.payload);
        value_unref(m->data);
        *m = (Message){};
}
