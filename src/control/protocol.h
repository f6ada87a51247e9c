/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What scenekeepctl and scenekeepd say to each other: D-Bus, without a bus, over the daemon's own Unix socket.
 *
 *   Call(s verb, s arguments) -> s                   arguments and answer are JSON objects, as scenekeepctl --json prints
 *   CallWithFile(s verb, s arguments, h file) -> s   the same for what is too large for a message
 *
 * There are two methods and not one per verb because every answer is shown to people, printed as JSON and stable only
 * once: a typed signature beside it would be a second definition of the same. A refusal is a D-Bus error whose
 * message is a sentence for the user.
 */

#define CONTROL_OBJECT "/org/scenekeep/Session"
#define CONTROL_INTERFACE "org.scenekeep.Session1"

#define CONTROL_ERROR_FAILED "org.scenekeep.Error.Failed"
#define CONTROL_ERROR_USAGE "org.scenekeep.Error.Usage"
#define CONTROL_ERROR_NOT_FOUND "org.scenekeep.Error.NotFound"
#define CONTROL_ERROR_DEGRADED "org.scenekeep.Error.Degraded"
#define CONTROL_ERROR_REFUSED "org.scenekeep.Error.Refused"

/* Name of the socket in the runtime or data folder, and the group whose members may use it beside root. */
#define CONTROL_SOCKET_NAME "control"
#define CONTROL_GROUP "scenekeep"
