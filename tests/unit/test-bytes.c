/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/bytes.h"
#include "base/pages.h"
#include "test.h"

static void count_free(void *userdata)
{
        ++*(int *)userdata;
}

static void test_slice_keeps_parent_alive(void **state)
{
        int n_freed = 0;
        Bytes *parent = bytes_new_wrap("hello world", 11, count_free, &n_freed);
        Bytes *slice = bytes_new_slice(parent, 6, 5);
        bytes_unref(parent);
        assert_int_equal(n_freed, 0);
        assert_true(bytes_equal_string(slice, "world"));
        size_t offset;
        assert_null(bytes_parent(parent, &offset));
        assert_ptr_equal(bytes_parent(slice, &offset), parent);
        assert_int_equal(offset, 6);
        bytes_unref(slice);
        assert_int_equal(n_freed, 1);
}

static void test_copy_is_independent(void **state)
{
        char text[] = "abc";
        _cleanup_bytes_ Bytes *b = bytes_new_copy(text, 3);
        text[0] = 'x';
        assert_true(bytes_equal_string(b, "abc"));
}

typedef struct Group {
        Bytes first, second;
        int n_freed;
} Group;

static void group_free(void *userdata)
{
        ((Group *)userdata)->n_freed++;
}

static void test_pages(void **state)
{
        static const size_t sizes[] = { 1, 1 << 20 };
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                uint8_t *pages = pages_new(sizes[i]);
                pages[sizes[i] - 1] = 7;
                _cleanup_bytes_ Bytes *b = bytes_new_take_pages(pages, sizes[i]);
                assert_int_equal(b->size, sizes[i]);
                assert_int_equal(b->data[sizes[i] - 1], 7);
        }
}

static void test_embedded_leaves_its_memory_alone(void **state)
{
        Group g = {};
        bytes_init_embedded(&g.first, "abc", 3, group_free, &g);
        bytes_init_embedded(&g.second, NULL, 0, group_free, &g);
        Bytes *slice = bytes_new_slice(&g.first, 1, 2);
        bytes_unref(&g.first);
        assert_int_equal(g.n_freed, 0);
        assert_true(bytes_equal_string(slice, "bc"));
        bytes_unref(slice);
        assert_int_equal(g.n_freed, 1);
        assert_non_null(g.second.data);
        bytes_unref(&g.second);
        assert_int_equal(g.n_freed, 2);
}

/* That the memory goes with the last of them, and not before, a sanitizer sees. */
static void test_block_stays_for_the_last(void **state)
{
        void *room;
        BytesBlock *block = bytes_block_new(3, 6, &room);
        for (size_t i = 0; i < 3; i++)
                room = bytes_block_copy(block, i, room, &"abcdef"[2 * i], 2);
        Bytes *last = bytes_ref(&block->item[1]);
        for (size_t i = 0; i < 3; i++)
                bytes_unref(&block->item[i]);
        assert_true(bytes_equal_string(last, "cd"));
        bytes_unref(last);
        assert_null(bytes_block_new(1, SIZE_MAX, &room));
}

static void test_empty_has_data(void **state)
{
        _cleanup_bytes_ Bytes *b = bytes_new_copy(NULL, 0);
        _cleanup_bytes_ Bytes *w = bytes_new_wrap(NULL, 0, NULL, NULL);
        assert_non_null(b->data);
        assert_non_null(w->data);
        assert_true(bytes_equal(b, w));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_slice_keeps_parent_alive),
                cmocka_unit_test(test_copy_is_independent),
                cmocka_unit_test(test_pages),
                cmocka_unit_test(test_embedded_leaves_its_memory_alone),
                cmocka_unit_test(test_block_stays_for_the_last),
                cmocka_unit_test(test_empty_has_data),
        };
        return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
