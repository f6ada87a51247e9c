/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Everything that was done to a folder, so that any state a power cut may leave can be made from it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct PowerLog PowerLog;

PowerLog *power_log_new(const char *root);
PowerLog *power_log_free(PowerLog *l);
size_t power_log_size(const PowerLog *l);

void power_log_open(PowerLog *l, int dirfd, const char *path, int flags, int fd, bool made);
void power_log_close(PowerLog *l, int fd);
void power_log_write(PowerLog *l, int fd, const struct iovec *iov, int n_iov, size_t size, off_t offset);
void power_log_sync(PowerLog *l, int fd);
void power_log_truncate(PowerLog *l, int fd, off_t size);
void power_log_rename(PowerLog *l, int from, const char *old, int to, const char *new);
void power_log_link(PowerLog *l, int from, const char *old, int to, const char *new);
void power_log_unlink(PowerLog *l, int dirfd, const char *path);
void power_log_mkdir(PowerLog *l, int dirfd, const char *path);

void power_log_replay(const PowerLog *l, size_t n_done, uint64_t seed, const char *target);
