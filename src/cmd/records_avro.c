/* Avro object container files (Avro 1.11 specification): header, blocks, codecs null and deflate. */
#include "cmd/records_private.h"
#include "core/buffer.h"
#include "decode/avro.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    SYNC_BYTES = 16,
    METADATA_ENTRIES_MAX = 10000,
    CHECKSUM_BYTES = 4,
    EMPTY_RECORDS_MAX = 65536, /* of a block, beyond its bytes: a record of nulls has none */
};

struct lp_container {
    struct lp_avro_plan *plan;
    struct lp_avro_plan *skip; /* no wants: how long a record is, so that the one behind a bad one is found */
    bool deflate;
    unsigned char sync[SYNC_BYTES];
    struct lp_buffer inflated;
    struct lp_span data;     /* of the block, what is still to come */
    uint64_t data_left;      /* records in it */
    size_t stored_bytes;     /* of the block, in the window; 0: no block is open */
    uint64_t block, record;  /* numbers for error texts, from 1 */
    struct lp_buffer schema; /* of the writer, JSON */
};

static enum lp_code bad_file(const struct lp_records *records, const char *what, struct lp_error *err)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: block %llu: %s", records->bytes.name,
                   (unsigned long long)records->container->block, what);
}

static enum lp_code take_long(struct lp_records *records, int64_t *ret_number, struct lp_error *err)
{
    struct lp_bytes *bytes = &records->bytes;
    LP_TRY(lp_bytes_fill(bytes, 10, err));
    uint64_t bits = 0;
    for (unsigned i = 0; i < 10 && i < lp_bytes_left(bytes); i++) {
        unsigned char byte = lp_bytes_at(bytes)[i];
        if (i == 9 && byte > 1) break;
        bits |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80) continue;
        lp_bytes_take(bytes, i + 1);
        *ret_number = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
        return LP_OK;
    }
    return bad_file(records, "a number is cut short or too wide", err);
}

/* `count` bytes that stay in the window; the caller takes them. */
static enum lp_code need(struct lp_records *records, int64_t count, int64_t most, const char *what,
                         struct lp_error *err)
{
    if (count < 0 || count > most) return bad_file(records, what, err);
    LP_TRY(lp_bytes_fill(&records->bytes, (size_t)count, err));
    if (lp_bytes_left(&records->bytes) < (size_t)count) return bad_file(records, "the file ends early", err);
    return LP_OK;
}

/* --- the header --- */

static enum lp_code take_entry(struct lp_records *records, struct lp_error *err)
{
    struct lp_container *container = records->container;
    int64_t bytes;
    char key[32] = "";
    LP_TRY(take_long(records, &bytes, err));
    LP_TRY(need(records, bytes, LP_RECORDS_HEADER_MAX_BYTES, "the metadata has an impossible key", err));
    if ((size_t)bytes < sizeof key) memcpy(key, lp_bytes_at(&records->bytes), (size_t)bytes);
    lp_bytes_take(&records->bytes, (size_t)bytes);
    LP_TRY(take_long(records, &bytes, err));
    LP_TRY(need(records, bytes, LP_RECORDS_HEADER_MAX_BYTES, "the metadata has an impossible value", err));
    struct lp_span value = lp_span_of(lp_bytes_at(&records->bytes), (size_t)bytes);
    if (strcmp(key, "avro.schema") == 0) {
        lp_buffer_clear(&container->schema);
        lp_buffer_append(&container->schema, value.data, value.size);
        LP_TRY(lp_buffer_check(&container->schema, "the schema", err));
    }
    if (strcmp(key, "avro.codec") == 0) {
        container->deflate = lp_span_is(value, "deflate");
        if (!container->deflate && !lp_span_is(value, "null"))
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "%s: codec %.*s is not in this release: write it with null or deflate", records->bytes.name,
                           (int)(value.size < 40 ? value.size : 40), (const char *)value.data);
    }
    lp_bytes_take(&records->bytes, (size_t)bytes);
    return LP_OK;
}

static enum lp_code take_metadata(struct lp_records *records, struct lp_error *err)
{
    int64_t entries = 0;
    for (int64_t count;;) {
        LP_TRY(take_long(records, &count, err));
        if (count == 0) return LP_OK;
        if (count < 0) { /* with the block's size, which nobody needs */
            int64_t size;
            LP_TRY(take_long(records, &size, err));
            if (count < -METADATA_ENTRIES_MAX) return bad_file(records, "the metadata has too many entries", err);
            count = -count;
        }
        if (count > METADATA_ENTRIES_MAX || (entries += count) > METADATA_ENTRIES_MAX)
            return bad_file(records, "the metadata has too many entries", err);
        while (count-- > 0) LP_TRY(take_entry(records, err));
    }
}

static enum lp_code compile(struct lp_records *records, struct lp_error *err)
{
    struct lp_container *container = records->container;
    struct lp_avro_schema *schema = NULL;
    enum lp_code rc = lp_avro_schema_parse(lp_buffer_span(&container->schema), &schema, err);
    if (rc == LP_OK) rc = lp_avro_plan_new(schema, NULL, records->wants, records->want_count, &container->plan, err);
    if (rc == LP_OK) rc = lp_avro_plan_new(schema, NULL, NULL, 0, &container->skip, err);
    lp_avro_schema_free(schema);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", records->bytes.name);
}

enum lp_code lp_container_open(struct lp_records *records, struct lp_error *err)
{
    records->container = calloc(1, sizeof *records->container);
    if (records->container == NULL) return lp_fail_memory(err, sizeof *records->container);
    lp_buffer_init(&records->container->schema, LP_RECORDS_HEADER_MAX_BYTES);
    lp_buffer_init(&records->container->inflated, LP_RECORDS_RECORD_MAX_BYTES);
    lp_bytes_take(&records->bytes, 4); /* the magic */
    LP_TRY(take_metadata(records, err));
    if (records->container->schema.size == 0) return bad_file(records, "the metadata has no avro.schema", err);
    LP_TRY(need(records, SYNC_BYTES, SYNC_BYTES, "", err));
    memcpy(records->container->sync, lp_bytes_at(&records->bytes), SYNC_BYTES);
    lp_bytes_take(&records->bytes, SYNC_BYTES);
    return compile(records, err);
}

void lp_container_close(struct lp_container *container)
{
    if (container == NULL) return;
    lp_avro_plan_free(container->skip);
    lp_avro_plan_free(container->plan);
    lp_buffer_done(&container->inflated);
    lp_buffer_done(&container->schema);
    free(container);
}

/* --- blocks --- */

/* Raw deflate (RFC 1951) into the buffer, whose maximum stops a bomb. */
static enum lp_code inflate_block(struct lp_records *records, struct lp_span stored, struct lp_error *err)
{
    struct lp_buffer *out = &records->container->inflated;
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)stored.data, .avail_in = (uInt)stored.size};
    lp_buffer_clear(out);
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return lp_fail_memory(err, 1 << 16);
    int result = Z_OK;
    while (result == Z_OK) {
        unsigned char chunk[16384];
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        result = inflate(&stream, Z_NO_FLUSH);
        lp_buffer_append(out, chunk, sizeof chunk - stream.avail_out);
        if (out->failed) break;
    }
    inflateEnd(&stream);
    if (out->failed) return bad_file(records, "inflates to more than 64 MiB", err);
    /* fastavro leaves three bytes of zlib's checksum behind the data. */
    if (result != Z_STREAM_END || stream.avail_in > CHECKSUM_BYTES)
        return bad_file(records, "the deflated data is damaged", err);
    return LP_OK;
}

static enum lp_code open_block(struct lp_records *records, bool *ret_done, struct lp_error *err)
{
    struct lp_container *container = records->container;
    LP_TRY(lp_bytes_fill(&records->bytes, 1, err));
    *ret_done = lp_bytes_left(&records->bytes) == 0;
    if (*ret_done) return LP_OK;
    int64_t count, size;
    container->block++;
    container->record = 0;
    LP_TRY(take_long(records, &count, err));
    LP_TRY(take_long(records, &size, err));
    if (count < 0) return bad_file(records, "has a negative number of records", err);
    if (size < 0) return bad_file(records, "has a negative size", err);
    LP_TRY(need(records, size + (size < INT64_MAX - SYNC_BYTES ? SYNC_BYTES : 0), LP_RECORDS_RECORD_MAX_BYTES,
                "is larger than 64 MiB", err));
    struct lp_span stored = lp_span_of(lp_bytes_at(&records->bytes), (size_t)size);
    if (memcmp(stored.data + stored.size, container->sync, SYNC_BYTES) != 0)
        return bad_file(records, "its sync marker is not the file's: the file is damaged", err);
    container->data = stored;
    if (container->deflate) {
        LP_TRY(inflate_block(records, stored, err));
        container->data = lp_buffer_span(&container->inflated);
    }
    if ((uint64_t)count > container->data.size + EMPTY_RECORDS_MAX)
        return bad_file(records, "claims more records than its bytes can hold", err);
    container->stored_bytes = stored.size + SYNC_BYTES;
    container->data_left = (uint64_t)count;
    return LP_OK;
}

static enum lp_code close_block(struct lp_records *records, struct lp_error *err)
{
    struct lp_container *container = records->container;
    if (container->data.size != 0) return bad_file(records, "has bytes behind its last record", err);
    lp_bytes_take(&records->bytes, container->stored_bytes);
    container->stored_bytes = 0;
    return LP_OK;
}

enum lp_code lp_container_next(struct lp_records *records, bool *ret_done, struct lp_error *err)
{
    struct lp_container *container = records->container;
    while (container->data_left == 0) {
        if (container->stored_bytes > 0) LP_TRY(close_block(records, err));
        LP_TRY(open_block(records, ret_done, err));
        if (*ret_done) return LP_OK;
    }
    *ret_done = false;
    container->data_left--;
    container->record++;
    size_t bytes;
    if (lp_avro_plan_run_prefix(container->skip, container->data, &records->record, &bytes, err) != LP_OK) {
        err->action = LP_FATAL; /* where the next record begins is not known */
        return lp_error_wrap(err, "%s: block %llu, record %llu", records->bytes.name,
                             (unsigned long long)container->block, (unsigned long long)container->record);
    }
    struct lp_span body = lp_span_of(container->data.data, bytes);
    container->data = lp_span_of(body.data + bytes, container->data.size - bytes);
    LP_TRY(lp_records_fit_scratch(records, bytes, err));
    return lp_avro_plan_run(container->plan, body, &records->record, err);
}
