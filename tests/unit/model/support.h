/* Small bundles made in memory: a manifest of text, tensors as JSON and bytes, put together as the format says. */
#ifndef TEST_MODEL_SUPPORT_H
#define TEST_MODEL_SUPPORT_H

#include "core/span.h"
#include "model/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEST_FILE_BYTES = 1 << 20 };

struct test_file {
    unsigned char bytes[TEST_FILE_BYTES];
    size_t size;
};

/** 8 bytes of length, a header, data. */
static inline void test_file_set(struct test_file *file, const char *header, const void *data, size_t data_bytes)
{
    size_t header_bytes = strlen(header);
    assert_true(8 + header_bytes + data_bytes <= TEST_FILE_BYTES);
    for (size_t i = 0; i < 8; i++) file->bytes[i] = (unsigned char)((uint64_t)header_bytes >> (8 * i));
    memcpy(file->bytes + 8, header, header_bytes);
    if (data_bytes > 0) memcpy(file->bytes + 8 + header_bytes, data, data_bytes);
    file->size = 8 + header_bytes + data_bytes;
}

/** Append formatted text to a buffer of `room` bytes; it must fit. */
__attribute__((format(printf, 4, 5))) static inline void test_append(char *out, size_t room, size_t *used,
                                                                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int more = vsnprintf(out + *used, room - *used, format, args);
    va_end(args);
    assert_true(more >= 0 && (size_t)more < room - *used);
    *used += (size_t)more;
}

/** `text` with quotes and backslashes escaped, as a JSON string holds it. */
static inline void test_escape(const char *text, char *out, size_t out_bytes)
{
    size_t used = 0;
    for (; *text != '\0'; text++) {
        assert_true(used + 3 < out_bytes);
        if (*text == '"' || *text == '\\') out[used++] = '\\';
        out[used++] = *text;
    }
    out[used] = '\0';
}

/** `text` with the first `find` replaced; find must be there. */
static inline void test_replace(const char *text, const char *find, const char *with, char *out, size_t out_bytes)
{
    const char *at = strstr(text, find);
    assert_non_null(at);
    int used = snprintf(out, out_bytes, "%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
    assert_true(used > 0 && (size_t)used < out_bytes);
}

/** Parse an exact copy, so that the sanitizer sees a read past the end; frees the bundle. */
static inline enum lp_code test_parse(const struct test_file *file, struct lp_error *err)
{
    unsigned char *copy = malloc(file->size > 0 ? file->size : 1);
    assert_non_null(copy);
    memcpy(copy, file->bytes, file->size);
    struct lp_bundle *bundle = NULL;
    enum lp_code rc = lp_bundle_parse(lp_span_of(copy, file->size), &bundle, err);
    free(copy);
    if (rc == LP_OK) lp_bundle_free(bundle);
    else assert_null(bundle);
    return rc;
}

static inline void test_expect(enum lp_code rc, const struct lp_error *err, enum lp_code want, const char *fragment)
{
    if (rc == want && (want == LP_OK || strstr(err->text, fragment) != NULL)) return;
    fail_msg("want code %d and \"%s\", got code %d and \"%s\"", want, fragment, rc, rc == LP_OK ? "" : err->text);
}

#endif
