/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Scanner and reader together: every opcode, every error, and where they stop. Each pickle goes through both. */

#include "pickle/dump.h"
#include "pickle/reader.h"
#include "test.h"

typedef struct Case {
        const char *text;
        size_t size;
        const char *dump; /* NULL: refused */
        int error;
        size_t offset;
} Case;

#define GOOD(text, dump) { (text), sizeof(text) - 1, (dump), 0, 0 }
#define BAD(text, error, offset) { (text), sizeof(text) - 1, NULL, (error), (offset) }

static void check(const void *data, size_t size, PickleProfile profile, const PickleLimits *limits, const char *dump,
                  int error, size_t offset)
{
        /* On the heap and of exact size, so that a sanitizer sees every byte read beyond. */
        _cleanup_bytes_ Bytes *pickle = bytes_new_take(memcpy(malloc(MAX(size, 1u)), data, size), size);
        _cleanup_value_ Value *value = NULL;
        size_t scan_offset = SIZE_MAX, read_offset = SIZE_MAX;

        int scanned = pickle_scan(pickle->data, size, profile, limits, &scan_offset);
        int read = pickle_read(pickle, profile, limits, &value, &read_offset);
        assert_int_equal(scanned, error);
        assert_int_equal(read, error);
        assert_true(scan_offset == read_offset);
        if (error != 0) {
                assert_true(scan_offset == offset);
                assert_null(value);
                return;
        }
        assert_true(scan_offset == SIZE_MAX);
        _cleanup_bytes_ Bytes *text = NULL;
        assert_int_equal(value_dump(value, VALUE_DUMP_ORDERED, 1 << 20, &text), 0);
        _cleanup_free_ char *copy = strndup((const char *)text->data, text->size);
        assert_string_equal(copy, dump);
}

static void check_all(const Case *cases, size_t n, PickleProfile profile)
{
        for (size_t i = 0; i < n; i++)
                check(cases[i].text, cases[i].size, profile, &pickle_limits_default, cases[i].dump, cases[i].error,
                      cases[i].offset);
}

static void test_scalars(void **state)
{
        static const Case cases[] = {
                GOOD("N.", "N"), GOOD("\x88.", "T"), GOOD("\x89.", "F"),
                GOOD("K\xff.", "iff"), GOOD("M\xff\xff.", "iffff"), GOOD("J\xff\xff\xff\xff.", "i-1"),
                GOOD("J\xff\xff\xff\x7f.", "i7fffffff"),
                GOOD("\x8a\x00.", "i0"), GOOD("\x8a\x02\xff\x00.", "iff"), GOOD("\x8a\x01\xff.", "i-1"),
                GOOD("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", "i8000000000000000"),
                GOOD("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", "i-8000000000000000"),
                GOOD("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\xff.", "i-8000000000000001"),
                GOOD("\x8b\x01\x00\x00\x00\x05.", "i5"),
                BAD("\x8b\xff\xff\xff\xff.", PICKLE_BAD_SIZE, 0), BAD("\x8b\x09\x00\x00\x00\x05.", PICKLE_TRUNCATED, 0),
                GOOD("G\x3f\xf0\x00\x00\x00\x00\x00\x00.", "f3ff0000000000000"),
                GOOD("G\xff\xf8\x00\x00\x00\x00\x00\x01.", "ffff8000000000001"),
                GOOD("C\x02" "ab.", "b\"ab\""), GOOD("B\x01\x00\x00\x00x.", "b\"x\""),
                GOOD("\x8e\x01\x00\x00\x00\x00\x00\x00\x00x.", "b\"x\""),
                GOOD("\x96\x01\x00\x00\x00\x00\x00\x00\x00x.", "B\"x\""),
                BAD("\x8e\xff\xff\xff\xff\xff\xff\xff\xffx.", PICKLE_BAD_SIZE, 0),
                BAD("\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx.", PICKLE_TRUNCATED, 0),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DATA);
}

static void test_numbers_as_text(void **state)
{
        static const Case cases[] = {
                GOOD("I00\n.", "F"), GOOD("I01\n.", "T"), GOOD("I0\n.", "i0"), GOOD("I1\n.", "i1"),
                GOOD("I010\n.", "i8"), GOOD("I0x10\n.", "i10"), GOOD("I-0X1f\n.", "i-1f"), GOOD("I-12\n.", "i-c"),
                GOOD("I123456789012345678901234567890\n.", "i18ee90ff6c373e0ee4e3f0ad2"),
                GOOD("I-18446744073709551616\n.", "i-10000000000000000"),
                GOOD("I0xffffffffffffffffff\n.", "iffffffffffffffffff"),
                GOOD("I0777777777777777777777\n.", "i7fffffffffffffff"),
                BAD("I01777777777777777777777\n.", PICKLE_BAD_TEXT, 0),
                BAD("I08\n.", PICKLE_BAD_TEXT, 0), BAD("I\n.", PICKLE_BAD_TEXT, 0), BAD("I-\n.", PICKLE_BAD_TEXT, 0),
                BAD("I0x\n.", PICKLE_BAD_TEXT, 0), BAD("I 1\n.", PICKLE_BAD_TEXT, 0), BAD("I1_0\n.", PICKLE_BAD_TEXT, 0),
                BAD("I1", PICKLE_TRUNCATED, 0),
                GOOD("L0L\n.", "i0"), GOOD("L-5\n.", "i-5"), GOOD("L255L\n.", "iff"), GOOD("L00\n.", "i0"),
                BAD("L007\n.", PICKLE_BAD_TEXT, 0), BAD("LL\n.", PICKLE_BAD_TEXT, 0), BAD("L0x5\n.", PICKLE_BAD_TEXT, 0),
                GOOD("F1.5\n.", "f3ff8000000000000"), GOOD("F-0.0\n.", "f8000000000000000"),
                GOOD("F1e-400\n.", "f0000000000000000"), GOOD("F.5\n.", "f3fe0000000000000"),
                GOOD("F5.\n.", "f4014000000000000"), GOOD("Finf\n.", "f7ff0000000000000"),
                GOOD("F-Infinity\n.", "ffff0000000000000"), GOOD("Fnan\n.", "f7ff8000000000000"),
                BAD("F1e999\n.", PICKLE_BAD_TEXT, 0), BAD("F0x1p3\n.", PICKLE_BAD_TEXT, 0),
                BAD("F1.5 \n.", PICKLE_BAD_TEXT, 0), BAD("F\n.", PICKLE_BAD_TEXT, 0), BAD("F1e\n.", PICKLE_BAD_TEXT, 0),
                BAD("F.\n.", PICKLE_BAD_TEXT, 0), BAD("F1\x00\n.", PICKLE_BAD_TEXT, 0),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DATA);

        char digits[5000];
        memset(digits, '7', sizeof digits);
        digits[0] = 'L';
        digits[4301] = '\n';
        digits[4302] = '.';
        assert_int_equal(pickle_scan(digits, 4303, PICKLE_PROFILE_DATA, &pickle_limits_default, NULL), 0);
        digits[4301] = '7';
        digits[4302] = '\n';
        digits[4303] = '.';
        check(digits, 4304, PICKLE_PROFILE_DATA, &pickle_limits_default, NULL, PICKLE_LIMIT, 0);
}

static void test_text(void **state)
{
        static const Case cases[] = {
                GOOD("\x8c\x02\xc3\xa9.", "s\"\\xc3\\xa9\""), GOOD("X\x01\x00\x00\x00x.", "s\"x\""),
                GOOD("\x8d\x01\x00\x00\x00\x00\x00\x00\x00x.", "s\"x\""),
                GOOD("\x8c\x03\xed\xa0\x80.", "s\"\\xed\\xa0\\x80\""), GOOD("\x8c\x03\xed\xbf\xbf.", "s\"\\xed\\xbf\\xbf\""),
                GOOD("\x8c\x04\xf0\x9f\x98\x80.", "s\"\\xf0\\x9f\\x98\\x80\""),
                GOOD("\x8c\x04\xf4\x8f\xbf\xbf.", "s\"\\xf4\\x8f\\xbf\\xbf\""),
                BAD("\x8c\x02\xc0\x80.", PICKLE_BAD_TEXT, 0), BAD("\x8c\x02\xc1\xbf.", PICKLE_BAD_TEXT, 0),
                BAD("\x8c\x03\xe0\x9f\xbf.", PICKLE_BAD_TEXT, 0), BAD("\x8c\x04\xf0\x8f\xbf\xbf.", PICKLE_BAD_TEXT, 0),
                BAD("\x8c\x04\xf4\x90\x80\x80.", PICKLE_BAD_TEXT, 0), BAD("\x8c\x04\xf5\x80\x80\x80.", PICKLE_BAD_TEXT, 0),
                BAD("\x8c\x01\x80.", PICKLE_BAD_TEXT, 0), BAD("\x8c\x01\xff.", PICKLE_BAD_TEXT, 0),
                BAD("\x8c\x01\xc3.", PICKLE_BAD_TEXT, 0), BAD("\x8c\x02\xe2\x82.", PICKLE_BAD_TEXT, 0),
                BAD("\x8c\x03\xf0\x9f\x98.", PICKLE_BAD_TEXT, 0), BAD("\x8c\x02\xc3x.", PICKLE_BAD_TEXT, 0),

                GOOD("Vab\xe9\\u0100\n.", "s\"ab\\xc3\\xa9\\xc4\\x80\""),
                GOOD("V\\U0001f600\\ud800\n.", "s\"\\xf0\\x9f\\x98\\x80\\xed\\xa0\\x80\""),
                GOOD("V\\x41\\\\u0041\\\n.", "s\"\\x5cx41\\x5c\\x5cu0041\\x5c\""), GOOD("V\n.", "s\"\""),
                BAD("V\\u12\n.", PICKLE_BAD_TEXT, 0), BAD("V\\U00110000\n.", PICKLE_BAD_TEXT, 0),
                BAD("V\\u00g0\n.", PICKLE_BAD_TEXT, 0), BAD("Vab", PICKLE_TRUNCATED, 0),

                GOOD("S'a\\x41\\n\\'\\\\\\101\\q'\n.", "s\"aA\\x0a'\\x5cA\\x5cq\""), GOOD("S\"\"\n.", "s\"\""),
                BAD("S'a\"\n.", PICKLE_BAD_TEXT, 0), BAD("S'\n.", PICKLE_BAD_TEXT, 0), BAD("Sabc\n.", PICKLE_BAD_TEXT, 0),
                BAD("S'\\x4'\n.", PICKLE_BAD_TEXT, 0), BAD("S'\\xe9'\n.", PICKLE_BAD_TEXT, 0),
                BAD("S'\xe9'\n.", PICKLE_BAD_TEXT, 0), BAD("S'a\\'\n.", PICKLE_BAD_TEXT, 0),
                GOOD("U\x01x.", "s\"x\""), GOOD("T\x01\x00\x00\x00x.", "s\"x\""),
                BAD("U\x01\x80.", PICKLE_BAD_TEXT, 0), BAD("T\xff\xff\xff\xffx.", PICKLE_BAD_SIZE, 0),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DATA);
}

static void test_containers(void **state)
{
        static const Case cases[] = {
                GOOD("].", "[]"), GOOD("]Na.", "[N,]"), GOOD("](NNe.", "[N,N,]"), GOOD("](e.", "[]"),
                GOOD("(Nl.", "[N,]"), GOOD("(l.", "[]"), GOOD("(lNa.", "[N,]"), GOOD("(]Na}l.", "[[N,],{},]"),
                GOOD(").", "()"), GOOD("N\x85.", "(N,)"), GOOD("NN\x86.", "(N,N,)"), GOOD("NNN\x87.", "(N,N,N,)"),
                GOOD("(t.", "()"), GOOD("(NNNNt.", "(N,N,N,N,)"),
                GOOD("}.", "{}"), GOOD("}K\x01Ns.", "{i1:N,}"), GOOD("}(K\x01NK\x02Nu.", "{i1:N,i2:N,}"), GOOD("}(u.", "{}"),
                GOOD("(K\x01Nd.", "{i1:N,}"), GOOD("(d.", "{}"), GOOD("(K\x01NdK\x02Ns.", "{i1:N,i2:N,}"),
                GOOD("}(K\x01NK\x02N\x88)u.", "{i1:(),i2:N,}"),
                GOOD("\x8f.", "<>"), GOOD("\x8f(K\x01K\x01\x90.", "<i1,>"), GOOD("\x8f(\x90.", "<>"),
                GOOD("(\x91.", "{||}"), GOOD("(K\x01\x88\x91.", "{|i1,|}"), GOOD("\x8f((\x91\x90.", "<{||},>"),
                GOOD("}K\x01\x85Ns.", "{(i1,):N,}"),

                BAD("}(K\x01u.", PICKLE_STACK, 4), BAD("(K\x01" "d.", PICKLE_STACK, 3),
                BAD("a.", PICKLE_STACK, 0), BAD("Na.", PICKLE_STACK, 1), BAD("NNa.", PICKLE_STACK, 2),
                BAD("}Na.", PICKLE_STACK, 2), BAD("]NNs.", PICKLE_STACK, 3), BAD("](NN\x90.", PICKLE_STACK, 4),
                BAD("\x8f(Ne.", PICKLE_STACK, 3), BAD("(Ne.", PICKLE_STACK, 2), BAD("]e.", PICKLE_STACK, 1),
                BAD("](Na.", PICKLE_STACK, 3), BAD("N(\x85.", PICKLE_STACK, 2), BAD("N\x86.", PICKLE_STACK, 1),
                BAD("}(NN(s.", PICKLE_STACK, 5), BAD("t.", PICKLE_STACK, 0), BAD("l.", PICKLE_STACK, 0),
                BAD("\x91.", PICKLE_STACK, 0), BAD("u.", PICKLE_STACK, 0), BAD("\x96\x00\x00\x00\x00\x00\x00\x00\x00Na.", PICKLE_STACK, 10),

                BAD("}]Ns.", PICKLE_UNHASHABLE, 3), BAD("}(NN}Nu.", PICKLE_UNHASHABLE, 6),
                BAD("\x8f(]\x90.", PICKLE_UNHASHABLE, 3), BAD("(]\x91.", PICKLE_UNHASHABLE, 2),
                BAD("}]\x85Ns.", PICKLE_UNHASHABLE, 4), BAD("}]\x85\x85Ns.", PICKLE_UNHASHABLE, 5),
                BAD("}\x8fNs.", PICKLE_UNHASHABLE, 3),
                BAD("}\x96\x00\x00\x00\x00\x00\x00\x00\x00Ns.", PICKLE_UNHASHABLE, 11),
                BAD("(]Nd.", PICKLE_UNHASHABLE, 3),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DATA);
}

static void test_stack_and_memo(void **state)
{
        static const Case cases[] = {
                GOOD("N.trailing", "N"), GOOD("NK\x01.", "i1"), GOOD("N(K\x01.", "i1"),
                BAD("", PICKLE_TRUNCATED, 0), BAD(".", PICKLE_STACK, 0), BAD("N(.", PICKLE_STACK, 2),
                BAD("N", PICKLE_TRUNCATED, 1),
                GOOD("NK\x01" "0.", "N"), GOOD("N(0.", "N"), BAD("0.", PICKLE_STACK, 0), BAD("N00.", PICKLE_STACK, 2),
                GOOD("N(NN1.", "N"), BAD("N1.", PICKLE_STACK, 1),
                GOOD("N2\x86.", "(N,N,)"), BAD("2.", PICKLE_STACK, 0), BAD("N(2.", PICKLE_STACK, 2),
                GOOD("NNNNNK\x07p5\ng5\n\x86.", "(i7,i7,)"), GOOD("K\x07q\x00h\x00\x86.", "(i7,i7,)"),
                GOOD("K\x07r\x01\x00\x00\x00j\x01\x00\x00\x00\x86.", "(i7,i7,)"), GOOD("K\x07\x94h\x00\x86.", "(i7,i7,)"),
                /* MEMOIZE counts entries, it does not go on from the highest number */
                GOOD("NNNNNK\x05q\x05K\x06\x94h\x01h\x05\x86.", "(i6,i5,)"),
                GOOD("K\x01q\x00K\x02q\x00h\x00.", "i2"),
                BAD("h\x00.", PICKLE_MEMO, 0), BAD("NNNNq\x04h\x03.", PICKLE_MEMO, 6), BAD("q\x00.", PICKLE_STACK, 0),
                BAD("N(q\x00.", PICKLE_STACK, 2), BAD("\x94.", PICKLE_STACK, 0), BAD("(g0\n.", PICKLE_MEMO, 1),
                BAD("Nr\xff\xff\xff\xff.", PICKLE_LIMIT, 1), BAD("Nq\x02.", PICKLE_LIMIT, 1),
                BAD("Np-1\n.", PICKLE_BAD_TEXT, 1), BAD("Np\n.", PICKLE_BAD_TEXT, 1),
                BAD("Np99999999999999999999\n.", PICKLE_BAD_TEXT, 1), BAD("Np1x\n.", PICKLE_BAD_TEXT, 1),
                GOOD("\x80\x00N\x80\x05.", "N"), BAD("\x80\x06N.", PICKLE_BAD_OPCODE, 0),
                GOOD("\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", "N"), BAD("\x95\x03\x00\x00\x00\x00\x00\x00\x00N.", PICKLE_TRUNCATED, 0),
                BAD("\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", PICKLE_TRUNCATED, 0),
                BAD("\x00N.", PICKLE_BAD_OPCODE, 0), BAD("N\xff.", PICKLE_BAD_OPCODE, 1), BAD("Nz.", PICKLE_BAD_OPCODE, 1),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DATA);
}

static void test_sharing_and_cycles(void **state)
{
        static const Case cases[] = {
                GOOD("](]\x94h\x00" "e.", "[[],[],]"), GOOD("](]\x94Nah\x00h\x00" "e.", "[[N,],[N,],[N,],]"),
                GOOD("}(K\x01]\x94K\x02h\x00u.", "{i1:[],i2:[],}"), GOOD("]2\x86.", "([],[],)"),
                /* cycles as Python writes them: list, dict, tuple through list */
                BAD("]\x94h\x00" "a.", PICKLE_CYCLE, 4), BAD("}\x94K\x01h\x00s.", PICKLE_CYCLE, 6),
                BAD("]\x94h\x00\x85" "a.", PICKLE_CYCLE, 5), BAD("]\x94(h\x00Ne.", PICKLE_CYCLE, 6),
                BAD("]\x94(]\x94(h\x00h\x01" "ee.", PICKLE_CYCLE, 10),
                BAD("]2a.", PICKLE_CYCLE, 2), BAD("}\x94N]h\x00" "as.", PICKLE_CYCLE, 7),
                /* changed after it was referred to */
                BAD("]\x94h\x00\x30Na.", PICKLE_CYCLE, 6), BAD("]\x94\x30h\x00Na.", PICKLE_CYCLE, 6),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DATA);
}

static void test_forbidden(void **state)
{
        static const Case data[] = {
                BAD("cos\nsystem\n(S'id'\ntR.", PICKLE_FORBIDDEN_GLOBAL, 0), BAD("cbuiltins\nlist\n.", PICKLE_FORBIDDEN_GLOBAL, 0),
                BAD("\x8c\x08" "builtins\x8c\x04list\x93.", PICKLE_FORBIDDEN_GLOBAL, 16),
                BAD("\x8c\x08" "builtins\x8c\x09" "bytearray\x93)R.", PICKLE_FORBIDDEN_GLOBAL, 21),
                BAD("NNR.", PICKLE_FORBIDDEN_OPCODE, 2), BAD("NN\x81.", PICKLE_FORBIDDEN_OPCODE, 2), BAD("NNN\x92.", PICKLE_FORBIDDEN_OPCODE, 3),
                BAD("N}b.", PICKLE_FORBIDDEN_OPCODE, 2), BAD("(ios\nsystem\n.", PICKLE_FORBIDDEN_OPCODE, 1),
                BAD("(No.", PICKLE_FORBIDDEN_OPCODE, 2), BAD("Pid\n.", PICKLE_FORBIDDEN_OPCODE, 0), BAD("NQ.", PICKLE_FORBIDDEN_OPCODE, 1),
                BAD("\x82\x01.", PICKLE_FORBIDDEN_OPCODE, 0), BAD("\x83\x01\x00.", PICKLE_FORBIDDEN_OPCODE, 0),
                BAD("\x84\x01\x00\x00\x00.", PICKLE_FORBIDDEN_OPCODE, 0), BAD("\x97.", PICKLE_FORBIDDEN_OPCODE, 0),
                BAD("N\x98.", PICKLE_FORBIDDEN_OPCODE, 1),
        };
        check_all(data, ELEMENTSOF(data), PICKLE_PROFILE_DATA);

        static const Case delta[] = {
                BAD("cos\nsystem\n.", PICKLE_FORBIDDEN_GLOBAL, 0), BAD("cbuiltins\neval\n.", PICKLE_FORBIDDEN_GLOBAL, 0),
                BAD("cbuiltins\nbytearray\n.", PICKLE_FORBIDDEN_GLOBAL, 0), BAD("c__builtin__\nset\n.", PICKLE_FORBIDDEN_GLOBAL, 0),
                BAD("cdatetime\ndatetime\n.", PICKLE_FORBIDDEN_GLOBAL, 0), BAD("cdeepdiff.helper\nlist\n.", PICKLE_FORBIDDEN_GLOBAL, 0),
                BAD("NN\x93.", PICKLE_FORBIDDEN_GLOBAL, 2), BAD("N\x93.", PICKLE_STACK, 1),
                BAD("Vbuiltins\nVlist\n\x93.", PICKLE_FORBIDDEN_GLOBAL, 16),
                BAD("cbuiltins\nlist\n)R.", PICKLE_FORBIDDEN_OPCODE, 16), BAD("cbuiltins\nlist\n)\x81.", PICKLE_FORBIDDEN_OPCODE, 16),
                BAD("cdeepdiff.helper\nOpcode\n(NNNNtR.", PICKLE_FORBIDDEN_OPCODE, 30),
                BAD("cdeepdiff.helper\nOpcode\n(NNNNNNNNt\x81.", PICKLE_FORBIDDEN_OPCODE, 34),
                BAD("cdeepdiff.helper\nOpcode\n](NNNNNe\x81.", PICKLE_FORBIDDEN_OPCODE, 32),
                BAD("R.", PICKLE_STACK, 0), BAD("Q.", PICKLE_STACK, 0), BAD("U\x0c<<NoneType>>Q.", PICKLE_FORBIDDEN_OPCODE, 14),
                BAD("}cbuiltins\nlist\nNs.", PICKLE_UNHASHABLE, 17),
                BAD("cdeepdiff.helper\nOpcode\n(NNNNNt}b.", PICKLE_FORBIDDEN_OPCODE, 32),
        };
        check_all(delta, ELEMENTSOF(delta), PICKLE_PROFILE_DELTA);
}

static void test_delta_globals(void **state)
{
        static const Case cases[] = {
                GOOD("\x8c\x08" "builtins\x94\x8c\x04list\x93h\x00\x8c\x03str\x93\x86.", "(g\"list\",g\"str\",)"),
                GOOD("cbuiltins\nslice\n.", "g\"slice\""), GOOD("\x8c\x0c<<NoneType>>\x94Q.", "g\"NoneType\""),
                GOOD("\x8c\x0c<<NoneType>>\x94" "0h\x00Q.", "g\"NoneType\""),
                /* deepdiff answers every other persistent id with None */
                GOOD("K\x05Q.", "N"), GOOD("\x8c\x01xQ.", "N"), GOOD("}]QNs.", "{N:N,}"),
                GOOD("cdeepdiff.helper\nOpcode\n(NK\x01NNNt\x81.", "O(N,i1,N,N,N,)"),
                GOOD("cdeepdiff.helper\nOpcode\n(NNNNNN]tR.", "O(N,N,N,N,N,N,[],)"),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_DELTA);
}

static void test_plain_calls(void **state)
{
        static const Case cases[] = {
                GOOD("\x8c\x08" "builtins\x8c\x09" "bytearray\x93" "C\x02xy\x85R.", "B\"xy\""),
                GOOD("cbuiltins\nbytearray\n)R.", "B\"\""), GOOD("c__builtin__\nbytes\n)R.", "b\"\""),
                GOOD("c_codecs\nencode\nVa\xe9\nVlatin1\n\x86R.", "b\"a\\xe9\""),
                GOOD("c_codecs\nencode\nX\x03\x00\x00\x00" "a\xc3\xbfX\x06\x00\x00\x00latin1\x86R.", "b\"a\\xff\""),
                GOOD("c__builtin__\nset\n](K\x01K\x02" "e\x85R.", "<i1,i2,>"),
                GOOD("cbuiltins\nfrozenset\n]\x85R.", "{||}"), GOOD("}cbuiltins\nfrozenset\n]\x85RNs.", "{{||}:N,}"),
                BAD("c_codecs\nencode\nV\\u0100\nVlatin1\n\x86R.", PICKLE_FORBIDDEN_OPCODE, 33),
                BAD("c_codecs\nencode\nVa\nVutf-8\n\x86R.", PICKLE_FORBIDDEN_OPCODE, 27),
                BAD("cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", PICKLE_FORBIDDEN_OPCODE, 26),
                BAD("cbuiltins\nbytes\nK\x05\x85R.", PICKLE_FORBIDDEN_OPCODE, 19),
                BAD("cbuiltins\nset\n]]a\x85R.", PICKLE_FORBIDDEN_OPCODE, 18), BAD("cbuiltins\nset\n]\x85\x81.", PICKLE_FORBIDDEN_OPCODE, 16),
                BAD("cbuiltins\nlist\n.", PICKLE_FORBIDDEN_GLOBAL, 0),
        };
        check_all(cases, ELEMENTSOF(cases), PICKLE_PROFILE_PLAIN);
}

static void test_limits(void **state)
{
        PickleLimits limits = pickle_limits_default;
        limits.max_depth = 3;
        check("]]]aa.", 6, PICKLE_PROFILE_DATA, &limits, "[[[],],]", 0, 0);
        check("]]]]aaa.", 8, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 6);
        check(")\x85\x85.", 4, PICKLE_PROFILE_DATA, &limits, "(((),),)", 0, 0);
        check(")\x85\x85\x85.", 5, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 3);
        /* depth by reference to something finished */
        check("])\x85" "a\x94h\x00\x86.", 9, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 7);
        check("(((\x91\x91\x91.", 7, PICKLE_PROFILE_DATA, &limits, "{|{|{||},|},|}", 0, 0);
        limits.max_depth = 0;
        check("N.", 2, PICKLE_PROFILE_DATA, &limits, "N", 0, 0);
        check("].", 2, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 0);
        limits.max_depth = 3;
        limits.max_values = 3;
        check("NNN.", 4, PICKLE_PROFILE_DATA, &limits, "N", 0, 0);
        check("NNNN.", 5, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 3);
        limits.max_memo = 1;
        check("N\x94\x94.", 4, PICKLE_PROFILE_DATA, &limits, "N", 0, 0);
        check("N\x94\x94\x94.", 5, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 3);
        limits.max_size = 2;
        check("N.", 2, PICKLE_PROFILE_DATA, &limits, "N", 0, 0);
        check("N..", 3, PICKLE_PROFILE_DATA, &limits, NULL, PICKLE_LIMIT, 2);
}

static void test_default_depth(void **state)
{
        char text[500];
        memset(text, ']', 201);
        memset(text + 200, 'a', 199);
        text[399] = '.';
        assert_int_equal(pickle_scan(text, 400, PICKLE_PROFILE_DATA, &pickle_limits_default, NULL), 0);
        memset(text, ']', 201);
        memset(text + 201, 'a', 200);
        text[401] = '.';
        check(text, 402, PICKLE_PROFILE_DATA, &pickle_limits_default, NULL, PICKLE_LIMIT, 400);
}

/* Many more of each than have a place in the Scan itself. */
#define MANY 1000u

static void test_arrays_grow(void **state)
{
        char text[8 * MANY], *p = text;
        *p++ = '(';
        memset(p, ']', MANY);
        p += MANY;
        for (unsigned i = 0; i < MANY - 1; i++)
                *p++ = i % 150 < 149 ? 'a' : '0';
        *p++ = '.';
        assert_int_equal(pickle_scan(text, (size_t)(p - text), PICKLE_PROFILE_DATA, &pickle_limits_default, NULL), 0);

        p = text;
        for (unsigned i = 0; i < MANY; i++) {
                *p++ = ']';
                *p++ = '\x94';
        }
        for (unsigned i = 0; i < MANY; i++) {
                uint32_t number = htole32(i);
                *p++ = 'j';
                p = mempcpy(p, &number, sizeof number);
        }
        *p++ = '.';
        assert_int_equal(pickle_scan(text, (size_t)(p - text), PICKLE_PROFILE_DATA, &pickle_limits_default, NULL), 0);
}

/* Every beginning of a pickle is refused, at or before its end. */
static void test_truncation_at_every_length(void **state)
{
        static const char text[] =
                "\x80\x04\x95\x80\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01" "a\x94](NK\x01M\x01\x01J\x01\x01\x01\x01"
                "G\x3f\xf0\x00\x00\x00\x00\x00\x00\x8a\x01\x05\x8b\x01\x00\x00\x00\x05I12\nL5L\nF1.5\nVx\nS'x'\n"
                "U\x01xT\x01\x00\x00\x00xX\x01\x00\x00\x00x\x8d\x01\x00\x00\x00\x00\x00\x00\x00x"
                "C\x01xB\x01\x00\x00\x00x\x8e\x01\x00\x00\x00\x00\x00\x00\x00x\x96\x01\x00\x00\x00\x00\x00\x00\x00x"
                "p2\ng2\nq\x03h\x03r\x04\x00\x00\x00j\x04\x00\x00\x00" "eK\x07)\x85\x86\x8f(K\x01\x90K\x08NNN\x87(\x91u.";
        assert_int_equal(pickle_scan(text, sizeof text - 1, PICKLE_PROFILE_DATA, &pickle_limits_default, NULL),
                         PICKLE_STACK);
        for (size_t size = 0; size < sizeof text - 2; size++) {
                _cleanup_free_ char *copy = malloc(MAX(size, 1u));
                memcpy(copy, text, size);
                size_t offset = SIZE_MAX;
                int r = pickle_scan(copy, size, PICKLE_PROFILE_DATA, &pickle_limits_default, &offset);
                assert_int_equal(r, PICKLE_TRUNCATED);
                assert_true(offset <= size);
        }
}

static void test_every_error_has_a_name(void **state)
{
        for (int i = 0; i < _PICKLE_ERROR_MAX; i++)
                assert_true(strlen(pickle_error_to_string(i)) > 3);
        assert_string_equal(pickle_error_to_string(PICKLE_FORBIDDEN_GLOBAL), "forbidden global");
        assert_string_equal(pickle_error_to_string(-1), "unknown error");
        assert_string_equal(pickle_error_to_string(_PICKLE_ERROR_MAX), "unknown error");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scalars),
                cmocka_unit_test(test_numbers_as_text),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_containers),
                cmocka_unit_test(test_stack_and_memo),
                cmocka_unit_test(test_sharing_and_cycles),
                cmocka_unit_test(test_forbidden),
                cmocka_unit_test(test_delta_globals),
                cmocka_unit_test(test_plain_calls),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_default_depth),
                cmocka_unit_test(test_arrays_grow),
                cmocka_unit_test(test_truncation_at_every_length),
                cmocka_unit_test(test_every_error_has_a_name),
        };
        return cmocka_run_group_tests_name("scanner and reader", tests, NULL, NULL);
}
