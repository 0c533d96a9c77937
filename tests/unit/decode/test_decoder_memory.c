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

/* A conversation of two answers, a schema and what it refers to. */
static enum lp_registry_verdict converse(struct lp_registry *registry, struct lp_registry_call *call)
{
    static const char *const answers[] = {
        "{\"schema\":\"{\\\"type\\\":\\\"array\\\",\\\"items\\\":\\\"F\\\"}\","
        "\"references\":[{\"name\":\"F\",\"subject\":\"f\",\"version\":1}]}",
        "{\"schema\":\"{\\\"type\\\":\\\"fixed\\\",\\\"name\\\":\\\"F\\\",\\\"size\\\":2}\"}"};
    enum lp_registry_verdict verdict = LP_REGISTRY_AGAIN;
    for (size_t i = 0; i < 2; i++) {
        long spare = left;
        left = -1; /* the transfer's memory is not what this is about */
        lp_buffer_clear(&call->answer);
        lp_buffer_text(&call->answer, answers[i]);
        left = spare;
        verdict = lp_registry_judge(registry, call, CURLE_OK, 200);
        if (verdict != LP_REGISTRY_GO_ON) break;
    }
    return verdict;
}

/* Memory that runs out behind any answer: the conversation begins again, at its first request and with nothing kept. */
static void a_conversation_without_memory_begins_again(void **state)
{
    (void)state;
    char url[] = "http://registry";
    struct lp_registry registry = {.urls = {url}, .url_count = 1};
    for (long at = 0; at < 200; at++) {
        struct lp_registry_call *call = lp_registry_call_new(LP_REGISTRY_FETCH);
        assert_non_null(call);
        call->path = lp_registry_id_path(7);
        left = at;
        failed = false;
        enum lp_registry_verdict verdict = converse(&registry, call);
        left = -1;
        if (failed) {
            assert_int_equal(verdict, LP_REGISTRY_AGAIN);
            assert_int_equal(call->error.action, LP_RETRY);
            assert_string_equal(lp_registry_call_path(call), "/schemas/ids/7");
            assert_null(call->schema);
            assert_int_equal(call->reference_count, 0);
            assert_int_equal(call->references_fetched, 0);
            verdict = converse(&registry, call);
        }
        assert_int_equal(verdict, LP_REGISTRY_ANSWERED);
        assert_non_null(call->parsed);
        lp_registry_call_free(call);
        if (failed) continue;
        assert_true(at > 0);
        return;
    }
    fail_msg("more than 200 allocations");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_plan_survives_failing_allocations),
        cmocka_unit_test(decoder_survives_failing_allocations),
        cmocka_unit_test(registry_survives_failing_allocations),
        cmocka_unit_test(references_survive_failing_allocations),
        cmocka_unit_test(a_fetch_without_memory_is_retried),
        cmocka_unit_test(a_conversation_without_memory_begins_again),
    };
    return cmocka_run_group_tests_name("decoder_memory", tests, NULL, NULL);
}
