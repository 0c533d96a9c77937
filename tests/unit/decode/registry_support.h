/* The registry client against a server in the process. Paths, media type and error codes: Confluent's REST reference.
 * Functions are static: one program a test file. */
#ifndef LP_TESTS_REGISTRY_SUPPORT_H
#define LP_TESTS_REGISTRY_SUPPORT_H

#include "core/clock.h"
#include "decode/avro.h"
#include "decode/registry.h"
#include "support/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SCHEMA_LONG "{\"schema\":\"\\\"long\\\"\"}"
#define NOT_FOUND "{\"error_code\":40403,\"message\":\"Schema not found\"}"
#define WAIT_MS 5000

static struct fake_http *server;
static struct lp_registry *registry;
static struct lp_error err;
static char url[256];

static int setup(void **state)
{
    (void)state;
    server = fake_http_new();
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server->port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lp_registry_free(registry);
    registry = NULL;
    fake_http_free(server);
    server = NULL;
    return 0;
}

static __attribute__((unused)) struct lp_registry_options usual_options(void)
{
    return (struct lp_registry_options){
        .url = url, .timeout_ms = 3000, .retry_ms = 20, .negative_ttl_ms = 60000, .cache_max = 100};
}

static __attribute__((unused)) void start(struct lp_registry_options options)
{
    if (lp_registry_new(&options, &registry, &err) != LP_OK) fail_msg("%s", err.text);
}

static __attribute__((unused)) void wait_ok(uint64_t id, const struct lp_avro_schema **ret_schema)
{
    if (lp_registry_wait(registry, id, WAIT_MS, ret_schema, &err) != LP_OK) fail_msg("%s", err.text);
}

static __attribute__((unused)) void expect_text(const char *text)
{
    if (strstr(err.text, text) == NULL) fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static __attribute__((unused)) struct lp_registry_counts counts(void)
{
    struct lp_registry_counts counts;
    lp_registry_counts(registry, &counts);
    return counts;
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
