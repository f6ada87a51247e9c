/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/admin-password.h"

#define FILE_NAME "admin-password"
#define TEMPORARY_NAME "admin-password.new"
#define N_CHARACTERS 20
#define SIZE_MAX_READ 1024

/* 30 characters that nobody confuses when reading them from a screen: 20 of them are 98 bits. */
static const char alphabet[] = "abcdefghjkmnpqrstuvwxyz2345679";
_Static_assert(sizeof(alphabet) - 1 == 30, "bits per character are documented");

static int make(char password[static N_CHARACTERS + 1])
{
        size_t n = 0;

        while (n < N_CHARACTERS) {
                unsigned char byte;
                if (RAND_priv_bytes(&byte, 1) != 1)
                        return -EIO;
                /* Bytes above the last multiple of 30 would favour the first characters. */
                if (byte < 240)
                        password[n++] = alphabet[byte % 30];
        }
        password[n] = '\0';
        return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t)n;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

int admin_password_keep(int dir_fd, const char *password)
{
        int fd, r;

        if (unlinkat(dir_fd, TEMPORARY_NAME, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, TEMPORARY_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, password, strlen(password));
        if (r == 0)
                r = write_all(fd, "\n", 1);
        close(fd);
        if (r == 0 && renameat(dir_fd, TEMPORARY_NAME, dir_fd, FILE_NAME) < 0)
                r = -errno;
        if (r == 0 && fsync(dir_fd) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(dir_fd, TEMPORARY_NAME, 0);
        return r;
}

/* A file without a password in it, as a crash may leave one, is as good as none. */
static int load(int dir_fd, char **ret)
{
        char buffer[SIZE_MAX_READ + 1];
        struct stat st;
        ssize_t n;
        int r = 0, fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (!S_ISREG(st.st_mode) || st.st_mode & 077)
                r = -EPERM;
        n = r < 0 ? 0 : read(fd, buffer, SIZE_MAX_READ);
        if (n < 0)
                r = -errno;
        close(fd);
        if (r < 0)
                return r;
        buffer[n] = '\0';
        buffer[strcspn(buffer, "\r\n")] = '\0';
        if (!*buffer)
                return -ENOENT;
        *ret = strdup(buffer);
        secret_wipe(buffer);
        return *ret ? 0 : -ENOMEM;
}

int admin_password_load_or_make(int data_dir_fd, char **ret_password)
{
        _cleanup_secret_ char *password = NULL;
        int r = load(data_dir_fd, ret_password);

        if (r != -ENOENT)
                return r;
        password = calloc(1, N_CHARACTERS + 1);
        if (!password)
                return -ENOMEM;
        r = make(password);
        if (r == 0)
                r = admin_password_keep(data_dir_fd, password);
        if (r < 0)
                return r;
        *ret_password = TAKE_PTR(password);
        return 1;
}
