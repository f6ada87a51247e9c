/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Message ids of what an operator may want to know or be woken for. Each has an entry in units/scenekeep.catalog,
 * which `journalctl -x` shows; the extra fields that a message carries are named beside its id. An id is never
 * changed or used for another meaning. */

/* The daemon serves; SCENEKEEP_NODES=, SCENEKEEP_USERS= */
#define EVENT_SESSION_READY "67d2cf8894174b2e813a2c3914af3da1"
/* The daemon has saved and leaves */
#define EVENT_SESSION_STOPPED "74ffd36059f54989b120582b5d0b7d16"
/* SCENEKEEP_USER=, SCENEKEEP_NODES= */
#define EVENT_INIT_STARTED "64390958bfff4bd2a26a0a9544174860"
/* A user has filled the empty session; SCENEKEEP_USER=, SCENEKEEP_NODES= */
#define EVENT_SESSION_INITIALIZED "0202701da45647d0a948f32a3ad0bb77"
/* The initiator vanished midway; SCENEKEEP_USER=, SCENEKEEP_REASON= */
#define EVENT_INIT_ABANDONED "ad87871e9bc940c398706990e58c5a94"
/* State read back from disk; SCENEKEEP_SNAPSHOT=, SCENEKEEP_NODES= */
#define EVENT_SESSION_RESTORED "1dc5e563705d474ead9c7b6b5c94c79e"
/* SCENEKEEP_REASON=, SCENEKEEP_SNAPSHOT=, SCENEKEEP_NODES=, SCENEKEEP_BYTES= */
#define EVENT_SESSION_SAVED "82e78120aff1439d944c60d67a3838fc"
/* SCENEKEEP_REASON= */
#define EVENT_SAVE_FAILED "b3eb3dae26704426927182999cb63c7d"
/* Writing fails, the session goes on in memory; SCENEKEEP_REASON= */
#define EVENT_STORE_DEGRADED "85e830712d204d50971e7796b08f8037"
/* The disk takes longer than updates wait for it, nothing has failed; SCENEKEEP_REASON= */
#define EVENT_STORE_SLOW "5394e163d51d41dfa86461fdb39ce32b"
/* Writing works again and nothing is owed to the disk */
#define EVENT_STORE_RECOVERED "b21a67296f5f4a9cb0eeb0acdab27e04"
/* Data that fails its digest was set aside; SCENEKEEP_FILE=, and SCENEKEEP_NODE= where it is one's */
#define EVENT_STORE_DAMAGED "7d8d3820cafa40a0b3c1f77a31906817"
/* Something else about the data folder needs a look; the message says what */
#define EVENT_STORE_PROBLEM "5e8d0b6059e04eff879d1ffa1042c6fc"
/* The data folder cannot be used; the daemon does not start over it */
#define EVENT_STORE_REFUSED "3fcb68fb2369428ba4354b415a30b083"
/* A scrub went through; SCENEKEEP_BYTES=, SCENEKEEP_DAMAGED= */
#define EVENT_STORE_VERIFIED "4289063f33354bd6ac394d37a8a3c9d8"
/* SCENEKEEP_USER=, SCENEKEEP_ADDRESS= */
#define EVENT_USER_LOGIN "7c55883567f542229bd673730baf5a13"
/* A user has the whole scene; SCENEKEEP_USER= */
#define EVENT_USER_JOINED "ed544a07917a4c04968d7e09a3513bee"
/* SCENEKEEP_USER=, SCENEKEEP_REASON= */
#define EVENT_USER_LEFT "1955eddd084743398e6dd71bd2dd6691"
/* A user came back to the session after a lost connection or a restart; SCENEKEEP_USER= */
#define EVENT_USER_RETURNED "7f4eba699b7e4c5b8e6be13ab7538637"
/* A client reads more slowly than the others write; SCENEKEEP_USER= */
#define EVENT_USER_BEHIND "08a84e074f384500bdbe1679134fbd9d"
/* A slow client has everything again; SCENEKEEP_USER= */
#define EVENT_USER_CAUGHT_UP "0fa92a443d614a6ea171f43111bd31aa"
/* Sends more than it may, and is read from more slowly; SCENEKEEP_USER=, SCENEKEEP_ADDRESS= */
#define EVENT_USER_HELD_BACK "7c8d8b20630a438982885a2ebee11464"
/* SCENEKEEP_USER=, SCENEKEEP_ADMIN= */
#define EVENT_USER_KICKED "c7b3289a01ef471fb37e30aa3e152763"
/* Over its backlog for too long, was told and dropped; SCENEKEEP_USER=, SCENEKEEP_ADDRESS=, SCENEKEEP_BYTES= */
#define EVENT_USER_TOO_SLOW "ed211237c1ec4af7be4e9a8c08d4ca8a"
/* Less than min_free_space is left; SCENEKEEP_BYTES= */
#define EVENT_DISK_LOW "46ca8224931a49e1b283be7055adc362"
/* Has sent most of what fills the disk, was told and dropped; SCENEKEEP_USER=, SCENEKEEP_ADDRESS=, SCENEKEEP_BYTES= */
#define EVENT_USER_FILLS_DISK "55c314a90f38430c99fc0d537c6a9c4e"
/* SCENEKEEP_USER=, SCENEKEEP_ADDRESS=, SCENEKEEP_REASON= */
#define EVENT_LOGIN_REFUSED "1cb01e4adb4f45adb33b22da1c03e6d0"
/* Malformed or forbidden traffic; SCENEKEEP_ADDRESS=, SCENEKEEP_REASON=, and SCENEKEEP_USER= of one who is logged in */
#define EVENT_PEER_REFUSED "a876646ed2cc4146bcd9ebfedf5d2759"
/* SCENEKEEP_ADDRESS= */
#define EVENT_PEER_BANNED "f04c4393e2fc4285ad4c398941e97492"
/* A delta that cannot be applied exactly; SCENEKEEP_USER=, SCENEKEEP_NODE=, SCENEKEEP_REASON= */
#define EVENT_UPDATE_REFUSED "3ea40db988ce414280dc1cec34845bf3"
/* SCENEKEEP_KEYS= that were applied */
#define EVENT_CONFIG_RELOADED "8f974621365747c486b86f73ffb7b2b9"
/* SCENEKEEP_KEYS= that were not */
#define EVENT_CONFIG_NEEDS_RESTART "c4a37b0ad2c045ca8a710d616185f303"
/* A reload found a mistake; the old configuration stays */
#define EVENT_CONFIG_REFUSED "1209460ea69642d5aa04d40f2e525789"
/* First start without a configured admin password */
#define EVENT_ADMIN_PASSWORD_MADE "391bf84a09ec4698b16f21445fd67fce"
/* A handed-over socket that is not ours or not usable was closed; SCENEKEEP_SOCKET= */
#define EVENT_SOCKET_REFUSED "f2fb4e3dd91f482b8cc457927c6610b7"
/* Nobody was there for idle_exit */
#define EVENT_IDLE_EXIT "0bff4d8601294a269a06e4ed4ac17852"
