/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "pickle/builder.h"
#include "pickle/writer.h"
#include "session/session-private.h"

int emit_send(Session *s, const User *u, Channel channel, SendClass class, Frames *frames, uint64_t id)
{
        Effect *e = effect_list_push(s->effects, EFFECT_SEND);
        if (!e)
                return -ENOMEM;
        e->send.to = u->id;
        e->send.channel = channel;
        e->send.class = class;
        e->send.frames = frames_ref(frames);
        e->send.node_id = id;
        if (class == SEND_BULK)
                pace_note_data(u->pace, s->now.now);
        else if (class == SEND_CONTROL && channel == CHANNEL_COMMAND)
                pace_note_command(u->pace, s->now.now);
        s->effects->bytes += frames->size;
        return 0;
}

int emit_send_guest(Session *s, const RoutingId *to, Channel channel, Frames *frames)
{
        Effect *e = effect_list_push(s->effects, EFFECT_SEND);
        if (!e)
                return -ENOMEM;
        e->send.to = *to;
        e->send.channel = channel;
        e->send.class = SEND_ANSWER;
        e->send.frames = frames_ref(frames);
        s->effects->bytes += frames->size;
        return 0;
}

int emit_frames_all(Session *s, const User *except, SendClass class, Frames *frames)
{
        for (size_t i = 0; i < s->n_users; i++) {
                if (s->users[i] == except)
                        continue;
                int r = emit_send(s, s->users[i], CHANNEL_COMMAND, class, frames, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int emit_command(Session *s, const User *u, MessageType type, Value *data)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = answer_new(s, type, data, &frames);
        return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
}

int emit_command_all(Session *s, MessageType type, const User *except, Value *data)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = answer_new(s, type, data, &frames);
        return r < 0 ? r : emit_frames_all(s, except, SEND_CONTROL, frames);
}

int emit_open(Session *s, User *u)
{
        Effect *e = effect_list_push(s->effects, EFFECT_OPEN);
        if (!e)
                return -ENOMEM;
        e->open.peer = u->id;
        u->opened = true;
        return 0;
}

int emit_close(Session *s, const RoutingId *id)
{
        Effect *e = effect_list_push(s->effects, EFFECT_CLOSE);
        if (!e)
                return -ENOMEM;
        e->close.peer = *id;
        return 0;
}

/* For fewer it is not worth it. */
#define GATHER_COMMANDS 64u

int emit_gather(Session *s, const User *u, size_t n_coming, size_t bytes)
{
        Effect *e = effect_list_push(s->effects, EFFECT_GATHER);
        if (!e)
                return -ENOMEM;
        e->gather.peer = u->id;
        e->gather.channel = CHANNEL_COMMAND;
        e->gather.bytes = n_coming >= GATHER_COMMANDS ? bytes : 0;
        return 0;
}

static int copy_text(const char *text, char **ret)
{
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? -ENOMEM : 0;
}

int emit_log(Session *s, LogLevel level, SessionEvent event, const User *u, const LogDetails *details,
             const char *format, ...)
{
        static const LogDetails none = {};
        Effect *e = effect_list_push(s->effects, EFFECT_LOG);
        if (!e)
                return -ENOMEM;
        e->log.level = level;
        e->log.event = event;
        va_list args;
        va_start(args, format);
        int n = vasprintf(&e->log.text, format, args);
        va_end(args);
        if (n < 0)
                e->log.text = NULL;
        const LogDetails *d = details ?: &none;
        e->log.n_nodes = d->n_nodes;
        int r = e->log.text ? 0 : -ENOMEM;
        if (r == 0)
                r = copy_text(u ? (const char *)u->name->data : d->user, &e->log.user);
        if (r == 0)
                r = copy_text(d->address || !u ? d->address : u->address, &e->log.address);
        if (r == 0)
                r = copy_text(d->reason, &e->log.reason);
        if (r == 0)
                r = copy_text(d->node, &e->log.node);
        return r < 0 ? r : copy_text(d->admin, &e->log.admin);
}

int emit_penalty(Session *s, const char *address, unsigned weight)
{
        Effect *e = effect_list_push(s->effects, EFFECT_PENALTY);
        if (!e)
                return -ENOMEM;
        e->penalty.weight = weight;
        e->penalty.address = strdup(address);
        return e->penalty.address ? 0 : -ENOMEM;
}

int emit_save(Session *s, const char *reason)
{
        Effect *e = effect_list_push(s->effects, EFFECT_SAVE);
        if (!e)
                return -ENOMEM;
        e->save.reason = strdup(reason);
        return e->save.reason ? 0 : -ENOMEM;
}

int emit_encode(Session *s, Node *n)
{
        if (node_is_folding(n))
                return 0;
        _cleanup_scene_fold_ SceneFold *fold = NULL;
        int r = scene_fold(s->scene, n, &fold);
        if (r < 0)
                return r;
        Effect *e = effect_list_push(s->effects, EFFECT_ENCODE);
        if (!e)
                return -ENOMEM;
        e->encode.node_id = node_id(n);
        e->encode.version = node_version(n);
        e->encode.fold = TAKE_PTR(fold);
        return 0;
}

int emit_ping(Session *s, const RoutingId *to, bool known)
{
        _cleanup_frames_ Frames *frames = NULL;
        Bytes *ping = bytes_new_copy("PING", 4);
        if (!ping || !(frames = frames_new(&ping, 1))) {
                bytes_unref(ping);
                return -ENOMEM;
        }
        Effect *e = effect_list_push(s->effects, EFFECT_SEND);
        if (!e)
                return -ENOMEM;
        e->send.to = *to;
        e->send.channel = CHANNEL_TTL;
        e->send.class = known ? SEND_PING : SEND_ANSWER;
        e->send.frames = TAKE_PTR(frames);
        return 0;
}

/* ---- what answers are made of ---- */

int answer_from(Session *s, MessageType type, Bytes *owner, Value *data, Frames **ret)
{
        _cleanup_value_ Value *owned = data;
        _cleanup_bytes_ Bytes *pickle = NULL;
        if (!owned)
                return -ENOMEM;
        int r = pickle_write(owned, SIZE_MAX, &pickle);
        if (r < 0)
                return r == -ENOMEM ? r : -EINVAL;
        Bytes *parts[] = { s->type_frames[type], owner, pickle };
        Frames *frames = frames_new(parts, ELEMENTSOF(parts));
        if (!frames)
                return -ENOMEM;
        bytes_ref(parts[0]);
        bytes_ref(parts[1]);
        pickle = NULL;
        *ret = frames;
        return 0;
}

int answer_new(Session *s, MessageType type, Value *data, Frames **ret)
{
        return answer_from(s, type, s->server, data, ret);
}

Value *answer_set(Value *dict, const char *key, Value *value)
{
        _cleanup_value_ Value *v = value;
        if (!dict || !v || value_dict_set_string(dict, key, v) < 0)
                return value_unref(dict);
        return dict;
}

int answer_append(Value *list, Value *item)
{
        _cleanup_value_ Value *owned = item;
        return owned ? value_list_append(list, owned) : -ENOMEM;
}

Value *answer_text(const Bytes *b)
{
        return value_str_new(b->data, b->size);
}

int answer_of(Bytes *const *parts, size_t n_parts, Frames **ret)
{
        Frames *frames = frames_new(parts, n_parts);
        if (!frames)
                return -ENOMEM;
        for (size_t i = 0; i < n_parts; i++)
                bytes_ref(parts[i]);
        *ret = frames;
        return 0;
}

int answer_node(Session *s, Node *n, Bytes *payload, Frames **ret)
{
        _cleanup_bytes_ Bytes *uuid = bytes_new_copy(node_uuid(n).text, node_uuid_size(n));
        if (!uuid)
                return -ENOMEM;
        Bytes *parts[] = { s->type_frames[MESSAGE_NODE], uuid, node_owner(s->scene, n), node_dependencies(n), payload };
        return answer_of(parts, ELEMENTSOF(parts), ret);
}

/* All but the bytes objects themselves: the texts, and an opcode and a count for each of them. */
#define NODE_SET_OVERHEAD 128u

int answer_node_set(Session *s, Node *n, Bytes *payload, Frames **ret)
{
        NodeUuid uuid = node_uuid(n);
        const Bytes *type = s->type_frames[MESSAGE_NODE], *owner = node_owner(s->scene, n);
        const Bytes *dependencies = node_dependencies(n);
        const struct {
                const void *data;
                size_t size;
        } items[] = {
                { type->data, type->size },
                { uuid.text, node_uuid_size(n) },
                { owner->data, owner->size },
                { dependencies->data, dependencies->size },
                { payload->data, payload->size },
        };
        size_t size = NODE_SET_OVERHEAD;
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                size += items[i].size;
        _cleanup_pickle_builder_ PickleBuilder b;
        pickle_builder_init(&b, size);
        pickle_builder_dict(&b);
        pickle_builder_mark(&b);
        pickle_builder_string(&b, "STATE");
        pickle_builder_string(&b, "SET");
        pickle_builder_string(&b, "DATA");
        pickle_builder_list(&b);
        pickle_builder_mark(&b);
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                pickle_builder_bytes(&b, items[i].data, items[i].size);
        pickle_builder_appends(&b);
        pickle_builder_setitems(&b);
        _cleanup_bytes_ Bytes *data = NULL;
        int r = pickle_builder_finish(&b, &data);
        if (r < 0)
                return r;
        Bytes *parts[] = { s->type_frames[MESSAGE_SNAPSHOT], s->server, data };
        return answer_of(parts, ELEMENTSOF(parts), ret);
}
