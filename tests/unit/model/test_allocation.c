/*
 * Every allocation of ours fails once: an error, no crash, no leak; and the bytes a bundle says it holds are those it
 * holds. jansson's own allocations are left alone: where one fails inside its lexer, 2.14 loses a byte of the text or
 * stops at an assertion, whatever its caller does.
 */
// wrap: malloc calloc realloc
#include "support.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);

static bool counting;
static size_t calls, fail_at; /* the fail_at-th call returns NULL; 0: none */
static size_t asked_bytes;    /* by all calls */

static bool fails(void)
{
    if (!counting) return false;
    return ++calls == fail_at;
}

void *__wrap_malloc(size_t bytes)
{
    if (fails()) return NULL;
    if (counting) asked_bytes += bytes;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    if (fails()) return NULL;
    if (counting) asked_bytes += count * bytes;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
    if (fails()) return NULL;
    if (counting) asked_bytes += bytes;
    return __real_realloc(p, bytes);
}

static enum lp_code load_once(const char *path, size_t failing, struct lp_bundle **ret_bundle, struct lp_error *err)
{
    calls = 0;
    asked_bytes = 0;
    fail_at = failing;
    counting = true;
    enum lp_code rc = lp_bundle_load(path, 1 << 20, ret_bundle, err);
    counting = false;
    return rc;
}

/* That nothing is left behind is the leak sanitizer's finding, in the debug build. */
static void fails_cleanly_at_each(const char *path)
{
    struct lp_bundle *bundle = NULL;
    struct lp_error err;
    assert_int_equal(load_once(path, 0, &bundle, &err), LP_OK);
    size_t whole = calls;
    assert_true(whole >= 5); /* file, bundle, places, blocks, sorted names */
    lp_bundle_free(bundle);
    for (size_t i = 1; i <= whole; i++) {
        bundle = NULL;
        assert_int_equal(load_once(path, i, &bundle, &err), LP_E_MEMORY);
        assert_null(bundle);
        assert_non_null(strstr(err.text, "out of memory"));
        assert_non_null(strstr(err.text, path));
    }
}

static void survives_each_failing_allocation(void **state)
{
    (void)state;
    fails_cleanly_at_each(TEST_DATA_DIR "/bundles/mlp.safetensors");
}

static void survives_each_failing_allocation_with_tensors_for_arrays(void **state)
{
    (void)state;
    fails_cleanly_at_each(TEST_DATA_DIR "/bundles/mixed_tensors.safetensors");
}

static void counts_the_heap_it_holds(void **state)
{
    (void)state;
    /* What loading asked for and did not keep: the file's bytes, one place a tensor, the sorted names. */
    static const char *const paths[] = {TEST_DATA_DIR "/bundles/mlp.safetensors",
                                        TEST_DATA_DIR "/bundles/mixed_tensors.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        struct lp_bundle *bundle;
        struct lp_error err;
        assert_int_equal(load_once(paths[i], 0, &bundle, &err), LP_OK);
        uint64_t said = lp_bundle_heap_bytes(bundle);
        uint64_t texts = 0;
        for (uint32_t f = 0; f < bundle->feature_count; f++)
            if (bundle->features[f].vocabulary != NULL) texts += bundle->features[f].vocabulary_count;
        uint64_t passing = bundle->file_bytes + (texts + bundle->feature_count + bundle->label_count) * sizeof(char *);
        uint64_t places = bundle->tensor_count * (sizeof(struct lp_tensor) + 2 * sizeof(uint64_t));
        assert_int_equal(asked_bytes, said + passing + places);
        lp_bundle_free(bundle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_each_failing_allocation),
        cmocka_unit_test(survives_each_failing_allocation_with_tensors_for_arrays),
        cmocka_unit_test(counts_the_heap_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
