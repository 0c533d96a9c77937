/* What the bench's programs share: failing, clocks and librdkafka settings from the command line. */
#ifndef LP_BENCH_CLIENT_H
#define LP_BENCH_CLIENT_H

#include <librdkafka/rdkafka.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static inline void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline int64_t bench_now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void bench_set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char text[512];
    if (rd_kafka_conf_set(conf, key, value, text, sizeof text) != RD_KAFKA_CONF_OK) bench_fail("%s", text);
}

/** Apply "key=value". */
static inline void bench_set_pair(rd_kafka_conf_t *conf, const char *pair)
{
    char key[256];
    const char *equals = strchr(pair, '=');
    if (!equals || (size_t)(equals - pair) >= sizeof key) bench_fail("not key=value: %s", pair);
    memcpy(key, pair, (size_t)(equals - pair));
    key[equals - pair] = '\0';
    bench_set(conf, key, equals + 1);
}

static inline rd_kafka_t *bench_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (!client) bench_fail("%s", text);
    return client;
}

static inline int64_t bench_integer(const char *text)
{
    char *end;
    int64_t value = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0) bench_fail("not a number: %s", text);
    return value;
}

#endif
