/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/unit-state.h"

#include <string.h>
#include <systemd/sd-bus.h>

#define MANAGER "org.freedesktop.systemd1"

static int unit_is(const char *unit, const char *state)
{
        sd_bus_message *answer = NULL;
        sd_bus *bus = NULL;
        char *text = NULL;
        const char *path;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager", "LoadUnit", NULL, &answer,
                                       "s", unit);
        if (r >= 0)
                r = sd_bus_message_read(answer, "o", &path);
        if (r >= 0)
                r = sd_bus_get_property_string(bus, MANAGER, path, MANAGER ".Unit", "ActiveState", NULL, &text);
        if (r >= 0)
                r = strcmp(text, state) == 0;
        free(text);
        sd_bus_message_unref(answer);
        sd_bus_flush_close_unref(bus);
        return r;
}

int unit_is_active(const char *unit)
{
        return unit_is(unit, "active");
}

int unit_has_failed(const char *unit)
{
        return unit_is(unit, "failed");
}
