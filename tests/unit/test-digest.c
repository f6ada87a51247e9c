/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <pthread.h>
#include <string.h>

#include "base/macros.h"
#include "store/digest.h"

/* FIPS 180-2, appendix B, and the empty message. */
static const struct {
        const char *message;
        size_t times;
        const char *digest;
} vectors[] = {
        { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

static void check_vector(unsigned i)
{
        size_t length = strlen(vectors[i].message), size = length * vectors[i].times;
        uint8_t whole[DIGEST_SIZE], parts[DIGEST_SIZE];
        char text[DIGEST_TEXT_SIZE];
        char *message = malloc(size + 1);
        Digest *d = digest_new();

        assert_non_null(message);
        for (size_t k = 0; k < vectors[i].times; k++) {
                memcpy(message + k * length, vectors[i].message, length);
                digest_update(d, vectors[i].message, length);
        }
        digest_buffer(message, size, whole); /* amid the other */
        digest_finish(d, parts);
        assert_string_equal(digest_format(whole, text), vectors[i].digest);
        assert_string_equal(digest_format(parts, text), vectors[i].digest);
        digest_free(d);
        free(message);
}

static void test_vectors(void **state)
{
        for (unsigned i = 0; i < ELEMENTSOF(vectors); i++)
                check_vector(i);
}

static void *check_all(void *userdata)
{
        for (unsigned round = 0; round < 5; round++)
                test_vectors(NULL);
        return NULL;
}

static void test_threads(void **state)
{
        pthread_t threads[4];

        for (unsigned i = 0; i < ELEMENTSOF(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, check_all, NULL), 0);
        test_vectors(NULL);
        for (unsigned i = 0; i < ELEMENTSOF(threads); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vectors),
                cmocka_unit_test(test_threads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
