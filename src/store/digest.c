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
static pthread_key_t contexts;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void context_free(void *context)
{
        EVP_MD_CTX_free(context);
}

/* OpenSSL 3 looks an algorithm up by name in each EVP_Digest() with EVP_sha256(), and makes and frees three objects:
 * with what is kept here, a small digest costs a third of that. */
static void set_up(void)
{
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (!sha256 || pthread_key_create(&contexts, context_free) != 0)
                abort();
}

/* Other threads have ended by then. */
static void tear_down(void) __attribute__((destructor));
static void tear_down(void)
{
        if (!sha256)
                return;
        context_free(pthread_getspecific(contexts));
        pthread_key_delete(contexts);
        EVP_MD_free(sha256);
        sha256 = NULL;
}

static EVP_MD_CTX *context_new(void)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        if (!context || EVP_DigestInit_ex2(context, sha256, NULL) != 1)
                abort();
        return context;
}

/* Of this thread. */
static EVP_MD_CTX *context_get(void)
{
        EVP_MD_CTX *context;

        pthread_once(&once, set_up);
        context = pthread_getspecific(contexts);
        if (!context) {
                context = context_new();
                if (pthread_setspecific(contexts, context) != 0)
                        abort();
        }
        return context;
}

void digest_buffer(const void *data, size_t size, uint8_t ret[static DIGEST_SIZE])
{
        EVP_MD_CTX *context = context_get();

        if (EVP_DigestInit_ex2(context, NULL, NULL) != 1 || EVP_DigestUpdate(context, data, size) != 1 ||
            EVP_DigestFinal_ex(context, ret, NULL) != 1)
                abort();
}

Digest *digest_new(void)
{
        Digest *d = malloc(sizeof(Digest));

        pthread_once(&once, set_up);
        if (!d)
                abort();
        d->context = context_new();
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
