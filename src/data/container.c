/* Avro object container files (Avro 1.11 specification): header, blocks. */
#include "data/private.h"
#include "decode/avro.h"

#include <stdlib.h>
#include <string.h>

enum {
    METADATA_ENTRIES_MAX = 10000,
    EMPTY_RECORDS_MAX = 65536, /* of a block, beyond its bytes: a record of nulls has none */
};

static enum lp_code bad_file(const struct lp_data *data, const char *what, struct lp_error *err)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: block %llu: %s", data->bytes.name, (unsigned long long)data->line,
                   what);
}

static enum lp_code take_long(struct lp_data *data, int64_t *ret_number, struct lp_error *err)
{
    struct lp_bytes *bytes = &data->bytes;
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
    return bad_file(data, "a number is cut short or too wide", err);
}

/* `count` bytes that stay in the window; the caller takes them. */
static enum lp_code need(struct lp_data *data, int64_t count, int64_t most, const char *what, struct lp_error *err)
{
    if (count < 0 || count > most) return bad_file(data, what, err);
    LP_TRY(lp_bytes_fill(&data->bytes, (size_t)count, err));
    if (lp_bytes_left(&data->bytes) < (size_t)count) return bad_file(data, "the file ends early", err);
    return LP_OK;
}

/* --- the header --- */

static enum lp_code set_codec(struct lp_data *data, struct lp_span name, struct lp_error *err)
{
    static const char *const names[] = {
        [LP_CODEC_NULL] = "null",
        [LP_CODEC_DEFLATE] = "deflate",
        [LP_CODEC_SNAPPY] = "snappy",
        [LP_CODEC_ZSTANDARD] = "zstandard",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!lp_span_is(name, names[i])) continue;
        data->container.codec = (enum lp_codec)i;
        return LP_OK;
    }
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                   "%s: codec %.*s is not in this release: write it with null, deflate, snappy or zstandard",
                   data->bytes.name, (int)(name.size < 40 ? name.size : 40), (const char *)name.data);
}

static enum lp_code take_entry(struct lp_data *data, struct lp_error *err)
{
    int64_t bytes;
    char key[32] = "";
    LP_TRY(take_long(data, &bytes, err));
    LP_TRY(need(data, bytes, LP_DATA_HEADER_MAX_BYTES, "the metadata has an impossible key", err));
    if ((size_t)bytes < sizeof key) memcpy(key, lp_bytes_at(&data->bytes), (size_t)bytes);
    lp_bytes_take(&data->bytes, (size_t)bytes);
    LP_TRY(take_long(data, &bytes, err));
    LP_TRY(need(data, bytes, LP_DATA_HEADER_MAX_BYTES, "the metadata has an impossible value", err));
    struct lp_span value = lp_span_of(lp_bytes_at(&data->bytes), (size_t)bytes);
    if (strcmp(key, "avro.schema") == 0) {
        lp_buffer_clear(&data->container.schema);
        lp_buffer_append(&data->container.schema, value.data, value.size);
        LP_TRY(lp_buffer_check(&data->container.schema, "the schema", err));
    }
    if (strcmp(key, "avro.codec") == 0) LP_TRY(set_codec(data, value, err));
    lp_bytes_take(&data->bytes, (size_t)bytes);
    return LP_OK;
}

static enum lp_code take_metadata(struct lp_data *data, struct lp_error *err)
{
    int64_t entries = 0;
    for (int64_t count;;) {
        LP_TRY(take_long(data, &count, err));
        if (count == 0) return LP_OK;
        if (count < 0) { /* with the block's size, which nobody needs */
            int64_t size;
            LP_TRY(take_long(data, &size, err));
            if (count < -METADATA_ENTRIES_MAX) return bad_file(data, "the metadata has too many entries", err);
            count = -count;
        }
        if (count > METADATA_ENTRIES_MAX || (entries += count) > METADATA_ENTRIES_MAX)
            return bad_file(data, "the metadata has too many entries", err);
        while (count-- > 0) LP_TRY(take_entry(data, err));
    }
}

enum lp_code lp_container_open(struct lp_data *data, struct lp_error *err)
{
    data->line = 0; /* the header is in no block */
    data->container.codec = LP_CODEC_NULL;
    lp_buffer_clear(&data->container.schema);
    lp_bytes_take(&data->bytes, 4); /* the magic */
    LP_TRY(take_metadata(data, err));
    if (data->container.schema.size == 0) return bad_file(data, "the metadata has no avro.schema", err);
    LP_TRY(need(data, LP_AVRO_SYNC_BYTES, LP_AVRO_SYNC_BYTES, "", err));
    memcpy(data->container.sync, lp_bytes_at(&data->bytes), LP_AVRO_SYNC_BYTES);
    lp_bytes_take(&data->bytes, LP_AVRO_SYNC_BYTES);
    return LP_OK;
}

enum lp_code lp_container_compile(const struct lp_data *data, struct lp_data_layout *layout, struct lp_error *err)
{
    struct lp_avro_schema *schema = NULL;
    enum lp_code rc = lp_avro_schema_parse(lp_buffer_span(&data->container.schema), &schema, err);
    if (rc == LP_OK) rc = lp_avro_plan_new(schema, NULL, layout->wants, layout->want_count, &layout->avro, err);
    if (rc == LP_OK) rc = lp_avro_plan_new(schema, NULL, NULL, 0, &layout->skip, err);
    lp_avro_schema_free(schema);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", data->bytes.name);
}

/* --- blocks --- */

static enum lp_code fit(struct lp_chunk *chunk, size_t bytes, struct lp_error *err)
{
    if (chunk->capacity >= bytes && chunk->data != NULL) return LP_OK;
    unsigned char *grown = realloc(chunk->data, bytes + LP_BYTES_PADDING);
    if (grown == NULL) return lp_fail_memory(err, bytes + LP_BYTES_PADDING);
    chunk->data = grown;
    chunk->capacity = bytes;
    return LP_OK;
}

enum lp_code lp_container_next(struct lp_data *data, struct lp_chunk *chunk, struct lp_error *err)
{
    int64_t count, size;
    chunk->begin = chunk->size = 0;
    LP_TRY(lp_bytes_fill(&data->bytes, 1, err));
    if (lp_bytes_left(&data->bytes) == 0) return LP_OK;
    data->line++;
    LP_TRY(take_long(data, &count, err));
    LP_TRY(take_long(data, &size, err));
    if (count < 0) return bad_file(data, "has a negative number of records", err);
    if (size < 0) return bad_file(data, "has a negative size", err);
    int64_t whole = size + (size < INT64_MAX - LP_AVRO_SYNC_BYTES ? LP_AVRO_SYNC_BYTES : 0);
    LP_TRY(need(data, whole, LP_DATA_RECORD_MAX_BYTES, "is larger than 64 MiB", err));
    const unsigned char *stored = lp_bytes_at(&data->bytes);
    if (memcmp(stored + size, data->container.sync, LP_AVRO_SYNC_BYTES) != 0)
        return bad_file(data, "its sync marker is not the file's: the file is damaged", err);
    LP_TRY(fit(chunk, (size_t)whole, err));
    memcpy(chunk->data, stored, (size_t)whole);
    lp_bytes_take(&data->bytes, (size_t)whole);
    data->taken_bytes += (size_t)whole;
    chunk->size = (size_t)whole; /* with the sync marker, so that a block without bytes is not the end */
    chunk->line = data->line;
    chunk->record_count = (uint64_t)count;
    return LP_OK;
}

/* --- records --- */

static enum lp_code bad_block(const struct lp_cursor *cursor, const char *what, struct lp_error *err)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: block %llu: %s", cursor->chunk->file,
                   (unsigned long long)cursor->chunk->line, what);
}

enum lp_code lp_container_start(struct lp_cursor *cursor, struct lp_error *err)
{
    const struct lp_chunk *chunk = cursor->chunk;
    struct lp_span stored = lp_span_of(chunk->data, chunk->size - LP_AVRO_SYNC_BYTES);
    if (chunk->layout->container.codec != LP_CODEC_NULL) {
        const char *what;
        LP_TRY(lp_codec_decode(chunk->layout->container.codec, stored, &cursor->plain, &what, err));
        if (what != NULL) return bad_block(cursor, what, err);
        stored = lp_span_of(cursor->plain.data != NULL ? cursor->plain.data : chunk->data, cursor->plain.size);
    }
    if (chunk->record_count > stored.size + EMPTY_RECORDS_MAX)
        return bad_block(cursor, "claims more records than its bytes can hold", err);
    cursor->at = stored.data;
    cursor->end = stored.data + stored.size;
    cursor->record_number = 0;
    cursor->record_left = chunk->record_count;
    cursor->line = chunk->line;
    return LP_OK;
}

enum lp_code lp_container_record(struct lp_cursor *cursor, struct lp_record **ret_record, struct lp_error *err)
{
    const struct lp_data_layout *layout = cursor->chunk->layout;
    *ret_record = NULL;
    if (cursor->record_left == 0) {
        bool clean = cursor->at == cursor->end;
        cursor->at = cursor->end;
        return clean ? LP_OK : bad_block(cursor, "has bytes behind its last record", err);
    }
    cursor->record_left--;
    cursor->record_number++;
    size_t bytes;
    struct lp_span left = lp_span_of(cursor->at, (size_t)(cursor->end - cursor->at));
    if (lp_avro_plan_run_prefix(layout->skip, left, &cursor->record, &bytes, err) != LP_OK) {
        err->action = LP_FATAL; /* where the next record begins is not known */
        return lp_error_wrap(err, "%s: block %llu, record %llu", cursor->chunk->file,
                             (unsigned long long)cursor->chunk->line, (unsigned long long)cursor->record_number);
    }
    struct lp_span body = lp_span_of(cursor->at, bytes);
    cursor->at += bytes;
    LP_TRY(lp_cursor_fit_scratch(cursor, bytes, err));
    *ret_record = &cursor->record;
    return lp_avro_plan_run(layout->avro, body, &cursor->record, err);
}
