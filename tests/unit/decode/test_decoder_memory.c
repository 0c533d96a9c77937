/* Every allocation of ours that start-up makes fails once: LP_E_MEMORY, nothing leaked (sanitizer), and no crash. */
#include "decode/avro.h"
#include "decode/decoder.h"
#include "decode/json.h"
#include "decode/registry.h"
#include "decode/registry_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

// wrap: malloc calloc realloc strdup strndup
static long left = -1; /* allocations until one fails; -1: none does */
static bool failed;

static bool fails(void)
{
    if (left < 0 || left-- > 0) return false;
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : __real_realloc(old, size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t size) { return fails() ? NULL : __real_strndup(text, size); }

static struct lp_error err;

/* Calls `run` with the first, second, ... allocation failing until none is left to fail. */
static void fail_each(enum lp_code (*run)(void), bool memory_only)
{
    for (long at = 0; at < 200; at++) {
        left = at;
        failed = false;
        enum lp_code code = run();
        left = -1;
        if (!failed) {
            assert_int_equal(code, LP_OK);
            assert_true(at > 0);
            return;
        }
        assert_int_not_equal(code, LP_OK);
        if (memory_only) assert_int_equal(code, LP_E_MEMORY);
    }
    fail_msg("more than 200 allocations");
}

static struct lp_want wants[] = {{.path = "a.b[2]", .type = LP_WANT_NUMBER, .width = 1},
                                 {.path = "t", .type = LP_WANT_TEXT, .width = 1}};

static enum lp_code run_json_plan(void)
{
    struct lp_json_plan *plan = NULL;
    enum lp_code code = lp_json_plan_new(wants, 2, &plan, &err);
    lp_json_plan_free(plan);
    return code;
}

static enum lp_code run_decoder(void)
{
    struct lp_decoder *decoder = NULL;
    struct lp_decoder_options options = {.format = LP_INPUT_JSON, .record_max_bytes = 100, .plans_max = 4};
    enum lp_code code = lp_decoder_new(&options, wants, 2, &decoder, &err);
    lp_decoder_free(decoder);
    return code;
}

static enum lp_code run_registry(void)
{
    struct lp_registry *registry = NULL;
    struct lp_registry_options options = {.url = "http://u:p@127.0.0.1:1/x/,https://127.0.0.1:1",
                                          .token = "t",
                                          .timeout_ms = 100,
                                          .retry_ms = 1000,
                                          .negative_ttl_ms = 1000,
                                          .cache_max = 10};
    enum lp_code code = lp_registry_new(&options, &registry, &err);
    lp_registry_free(registry);
    return code;
}

static enum lp_code run_inline(void)
{
    struct lp_registry_reference reference = {.subject = "s", .version = 1};
    char text[] = "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}";
    reference.schema = text;
    char *whole = NULL;
    enum lp_code code = lp_registry_inline("{\"type\":\"array\",\"items\":\"F\"}", &reference, 1, &whole, &err);
    free(whole);
    return code;
}

static void json_plan_survives_failing_allocations(void **state)
{
    (void)state;
    fail_each(run_json_plan, true);
}

static void decoder_survives_failing_allocations(void **state)
{
    (void)state;
    fail_each(run_decoder, true);
}

static void registry_survives_failing_allocations(void **state)
{
    (void)state;
    fail_each(run_registry, false);
}

static void references_survive_failing_allocations(void **state)
{
    (void)state;
    fail_each(run_inline, false);
}

/* A fetch that finds no memory is asked for again, not answered. */
static void a_fetch_without_memory_is_retried(void **state)
{
    (void)state;
    struct lp_registry *registry = NULL;
    const struct lp_avro_schema *schema;
    struct lp_registry_options options = {
        .url = "http://127.0.0.1:1", .timeout_ms = 100, .retry_ms = 1000, .negative_ttl_ms = 1000, .cache_max = 10};
    assert_int_equal(lp_registry_new(&options, &registry, &err), LP_OK);
    left = 0;
    assert_int_equal(lp_registry_get(registry, 5, &schema, &err), LP_E_MEMORY);
    assert_int_equal(err.action, LP_RETRY);
    left = -1;
    assert_int_equal(lp_registry_get(registry, 5, &schema, &err), LP_E_PENDING);
    lp_registry_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_plan_survives_failing_allocations),
        cmocka_unit_test(decoder_survives_failing_allocations),
        cmocka_unit_test(registry_survives_failing_allocations),
        cmocka_unit_test(references_survive_failing_allocations),
        cmocka_unit_test(a_fetch_without_memory_is_retried),
    };
    return cmocka_run_group_tests_name("decoder_memory", tests, NULL, NULL);
}
