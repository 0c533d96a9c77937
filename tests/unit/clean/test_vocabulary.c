/* Words to indices. Hashes: the test vectors of the FNV authors (draft-eastlake-fnv, appendix C). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "clean/vocabulary.h"

static struct lp_error err;

static void fnv1a_gives_the_published_hashes(void **state)
{
    (void)state;
    assert_true(lp_fnv1a64(lp_span_text("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(lp_fnv1a64(lp_span_text("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(lp_fnv1a64(lp_span_text("foobar")) == UINT64_C(0x85944171f73967e8));
}

static void every_word_has_its_index_and_no_other_text_has_one(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static char text[COUNT][24];
    static const char *words[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof text[i], "word %d", i);
        words[i] = text[i];
    }
    words[17] = "";
    struct lp_vocabulary vocabulary;
    size_t bytes = 0;
    assert_int_equal(lp_vocabulary_init(&vocabulary, words, COUNT, &bytes, &err), LP_OK);
    assert_true(bytes >= COUNT * sizeof *vocabulary.entries);
    for (uint32_t i = 0; i < COUNT; i++) assert_int_equal(lp_vocabulary_find(&vocabulary, lp_span_text(words[i])), i);
    assert_true(lp_vocabulary_find(&vocabulary, lp_span_text("word 17")) == LP_VOCABULARY_UNKNOWN);
    assert_true(lp_vocabulary_find(&vocabulary, lp_span_text("word 5000")) == LP_VOCABULARY_UNKNOWN);
    assert_true(lp_vocabulary_find(&vocabulary, lp_span_of("word 1\0", 7)) == LP_VOCABULARY_UNKNOWN);
    lp_vocabulary_done(&vocabulary);
}

static void a_word_given_twice_is_refused(void **state)
{
    (void)state;
    const char *words[] = {"a", "b", "a"};
    struct lp_vocabulary vocabulary;
    size_t bytes;
    assert_int_equal(lp_vocabulary_init(&vocabulary, words, 3, &bytes, &err), LP_E_INVALID);
    assert_null(vocabulary.entries);
}

static void an_empty_vocabulary_knows_nothing(void **state)
{
    (void)state;
    struct lp_vocabulary vocabulary;
    size_t bytes;
    assert_int_equal(lp_vocabulary_init(&vocabulary, NULL, 0, &bytes, &err), LP_OK);
    assert_true(lp_vocabulary_find(&vocabulary, lp_span_text("")) == LP_VOCABULARY_UNKNOWN);
    lp_vocabulary_done(&vocabulary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fnv1a_gives_the_published_hashes),
        cmocka_unit_test(every_word_has_its_index_and_no_other_text_has_one),
        cmocka_unit_test(a_word_given_twice_is_refused),
        cmocka_unit_test(an_empty_vocabulary_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
