// wrap: calloc malloc realloc
/* Every allocation of a load fails in turn: an error each time, nothing leaks (the sanitizer looks), nothing crashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

#include <stdlib.h>

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static long countdown; /* to the allocation that fails; 0: none does */

static bool fails(void) { return countdown > 0 && --countdown == 0; }

void *__wrap_calloc(size_t count, size_t bytes) { return fails() ? NULL : __real_calloc(count, bytes); }
void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_realloc(void *old, size_t bytes) { return fails() ? NULL : __real_realloc(old, bytes); }

static enum lp_code load(struct lp_error *err)
{
    static const char text[] =
        "kafka.bootstrap.servers=a:1\ninput.topics=r,s\ngroup.id=g\noutput.topic=o\n"
        "model.uri=file:///m/a\ninput.format=json\noutput.format=json\nkafka.consumer.debug=all\n";
    char *const environment[] = {"LEPTON_LANES=2", "LEPTON_KAFKA_DEBUG=cgrp", "LEPTON_TYPO=1", NULL};
    const struct lp_config_override overrides[] = {{"drift.window_s", "5"}};
    struct lp_config *config = NULL;
    enum lp_code rc = lp_config_parse(lp_span_text(text), "w", environment, overrides, 1, &config, err);
    if (rc == LP_OK) lp_config_free(config);
    else assert_null(config);
    return rc;
}

static void each_failed_allocation_is_an_error(void **state)
{
    (void)state;
    struct lp_error err;
    long failures = 0;
    for (long at = 1;; at++) {
        countdown = at;
        enum lp_code rc = load(&err);
        bool reached = countdown == 0;
        countdown = 0;
        if (!reached) {
            assert_int_equal(rc, LP_OK);
            break;
        }
        assert_int_equal(rc, LP_E_MEMORY);
        assert_int_equal(err.code, LP_E_MEMORY);
        failures++;
    }
    assert_true(failures > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_failed_allocation_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
