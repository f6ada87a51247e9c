/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/secret.h"

bool secret_matches(const char *configured, const void *given, size_t given_size)
{
        uint8_t want[SHA256_DIGEST_LENGTH], got[SHA256_DIGEST_LENGTH];
        bool equal;

        if (!configured || !*configured)
                return !given || given_size == 0;
        if (!given)
                return false;
        /* Digests are of one length, so that not even the length of the password can be measured. */
        SHA256((const uint8_t *)configured, strlen(configured), want);
        SHA256(given, given_size, got);
        equal = CRYPTO_memcmp(want, got, sizeof(want)) == 0;
        OPENSSL_cleanse(want, sizeof(want));
        OPENSSL_cleanse(got, sizeof(got));
        return equal;
}

void secret_wipe(char *secret)
{
        if (secret)
                OPENSSL_cleanse(secret, strlen(secret));
}

char *secret_free(char *secret)
{
        secret_wipe(secret);
        free(secret);
        return NULL;
}
