/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/macros.h"

struct Digest {
        EVP_MD_CTX *context;
};

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

/* OpenSSL 3 looks an algorithm up by name in each EVP_Digest() with EVP_sha256(); fetched once, a small
 * digest costs half of that. */
static void sha256_fetch(void)
{
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (!sha256)
                abort();
}

static void sha256_release(void) __attribute__((destructor));
static void sha256_release(void)
{
        EVP_MD_free(sha256);
        sha256 = NULL;
}

void digest_buffer(const void *data, size_t size, uint8_t ret[static DIGEST_SIZE])
{
        pthread_once(&sha256_once, sha256_fetch);
        if (EVP_Digest(data, size, ret, NULL, sha256, NULL) != 1)
                abort();
}

Digest *digest_new(void)
{
        Digest *d = malloc(sizeof(Digest));

        pthread_once(&sha256_once, sha256_fetch);
        if (!d || !(d->context = EVP_MD_CTX_new()) || EVP_DigestInit_ex2(d->context, sha256, NULL) != 1)
                abort();
        return d;
}

void digest_update(Digest *d, const void *data, size_t size)
{
        if (EVP_DigestUpdate(d->context, data, size) != 1)
                abort();
}

void digest_finish(Digest *d, uint8_t ret[static DIGEST_SIZE])
{
        if (EVP_DigestFinal_ex(d->context, ret, NULL) != 1 || EVP_DigestInit_ex2(d->context, sha256, NULL) != 1)
                abort();
}

Digest *digest_free(Digest *d)
{
        if (d) {
                EVP_MD_CTX_free(d->context);
                free(d);
        }
        return NULL;
}

const char *digest_format(const uint8_t digest[static DIGEST_SIZE], char text[static DIGEST_TEXT_SIZE])
{
        for (size_t i = 0; i < DIGEST_SIZE; i++)
                snprintf(text + 2 * i, 3, "%02x", digest[i]);
        return text;
}
