#include "decode/decoder.h"

#include "decode/avro.h"
#include "decode/framing.h"
#include "decode/json.h"
#include "decode/registry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a writer's schema came to: a plan, or the reason why there is none. */
struct entry {
    struct lp_avro_plan *plan;
    struct lp_error *failure;
};

struct lp_decoder {
    struct lp_decoder_options options;
    struct lp_want *wants; /* [want_count] */
    uint32_t want_count;
    uint32_t number_count, text_count;
    struct lp_json_plan *json;  /* JSON */
    struct lp_avro_plan *plain; /* bare Avro */
    uint64_t *ids;              /* [entry_count of plans_max], searched in a row */
    struct entry *entries;      /* beside ids */
    uint32_t entry_count;
    uint32_t oldest; /* once all are in use */
    uint32_t last;   /* entry of the last record; entry_count == 0: none */
    uint64_t schema_id;
};

static void clear_entry(struct entry *entry)
{
    lp_avro_plan_free(entry->plan);
    free(entry->failure);
    *entry = (struct entry){0};
}

static enum lp_code check_options(const struct lp_decoder_options *o, struct lp_error *err)
{
    if (o->record_max_bytes == 0 || o->plans_max == 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "decoder: record_max_bytes and plans_max must be above 0");
    if (o->format == LP_INPUT_CONFLUENT && o->registry == NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "input in Confluent's framing needs a registry: set registry.url");
    if (o->format == LP_INPUT_CONFLUENT && o->schema_id_bytes != 4 && o->schema_id_bytes != 8)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "schema ids of %u bytes: set input.schema_id.bytes to 4 or 8",
                       o->schema_id_bytes);
    if ((o->format == LP_INPUT_AVRO || o->format == LP_INPUT_SINGLE_OBJECT) && o->writer_count == 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "this input format needs the writer's schema: set input.schema.path");
    return LP_OK;
}

static enum lp_code new_plan(const struct lp_decoder *decoder, const struct lp_avro_schema *writer,
                             struct lp_avro_plan **ret_plan, struct lp_error *err)
{
    return lp_avro_plan_new(writer, decoder->options.reader, decoder->wants, decoder->want_count, ret_plan, err);
}

static enum lp_code prepare(struct lp_decoder *decoder, struct lp_error *err)
{
    const struct lp_decoder_options *o = &decoder->options;
    switch (o->format) {
    case LP_INPUT_JSON: return lp_json_plan_new(decoder->wants, decoder->want_count, &decoder->json, err);
    case LP_INPUT_AVRO: return new_plan(decoder, o->writers[0], &decoder->plain, err);
    case LP_INPUT_CONFLUENT:
    case LP_INPUT_SINGLE_OBJECT: break;
    }
    decoder->ids = calloc(o->plans_max, sizeof *decoder->ids);
    decoder->entries = calloc(o->plans_max, sizeof *decoder->entries);
    if (decoder->ids == NULL || decoder->entries == NULL)
        return lp_fail_memory(err, o->plans_max * (sizeof *decoder->ids + sizeof *decoder->entries));
    return LP_OK;
}

enum lp_code lp_decoder_new(const struct lp_decoder_options *options, struct lp_want *wants, uint32_t want_count,
                            struct lp_decoder **ret_decoder, struct lp_error *err)
{
    LP_TRY(check_options(options, err));
    enum lp_code rc = LP_OK;
    size_t wants_bytes = (want_count + (size_t)1) * sizeof *wants;
    struct lp_decoder *decoder = calloc(1, sizeof *decoder);
    struct lp_want *own = malloc(wants_bytes);
    if (decoder == NULL || own == NULL) {
        free(own);
        rc = lp_fail_memory(err, sizeof *decoder + wants_bytes);
        goto out;
    }
    decoder->options = *options;
    decoder->wants = own;
    decoder->want_count = want_count;
    lp_want_assign_slots(wants, want_count, &decoder->number_count, &decoder->text_count);
    if (want_count > 0) memcpy(own, wants, want_count * sizeof *wants);
    rc = prepare(decoder, err);
    if (rc != LP_OK) {
        err->action = LP_FATAL;
        goto out;
    }
    *ret_decoder = decoder;
    decoder = NULL;
out:
    lp_decoder_free(decoder);
    return rc;
}

void lp_decoder_free(struct lp_decoder *decoder)
{
    if (decoder == NULL) return;
    for (uint32_t i = 0; i < decoder->entry_count; i++) clear_entry(&decoder->entries[i]);
    lp_json_plan_free(decoder->json);
    lp_avro_plan_free(decoder->plain);
    free(decoder->entries);
    free(decoder->ids);
    free(decoder->wants);
    free(decoder);
}

uint32_t lp_decoder_number_count(const struct lp_decoder *decoder) { return decoder->number_count; }
uint32_t lp_decoder_text_count(const struct lp_decoder *decoder) { return decoder->text_count; }
uint64_t lp_decoder_schema_id(const struct lp_decoder *decoder) { return decoder->schema_id; }

/* The writer's schema for an id (confluent) or a fingerprint (single object). */
static enum lp_code find_writer(const struct lp_decoder *decoder, uint64_t id, const struct lp_avro_schema **ret_writer,
                                struct lp_error *err)
{
    const struct lp_decoder_options *o = &decoder->options;
    if (o->format == LP_INPUT_CONFLUENT) return lp_registry_get(o->registry, id, ret_writer, err);
    for (uint32_t i = 0; i < o->writer_count; i++) {
        if (lp_avro_schema_fingerprint(o->writers[i]) != id) continue;
        *ret_writer = o->writers[i];
        return LP_OK;
    }
    return lp_fail(err, LP_E_NOT_FOUND, LP_SKIP_RECORD,
                   "no schema file with fingerprint %016" PRIx64 ": add the writer's to input.schema.path", id);
}

/* The entry to fill next: a new one, or the oldest emptied. */
static uint32_t take_entry(struct lp_decoder *decoder)
{
    if (decoder->entry_count < decoder->options.plans_max) return decoder->entry_count++;
    uint32_t at = decoder->oldest;
    decoder->oldest = (at + 1) % decoder->options.plans_max;
    clear_entry(&decoder->entries[at]);
    return at;
}

/* First sight of a schema: compile it, or keep why that cannot be. */
static enum lp_code add_entry(struct lp_decoder *decoder, uint64_t id, struct lp_error *err)
{
    const struct lp_avro_schema *writer;
    LP_TRY(find_writer(decoder, id, &writer, err));
    struct entry entry = {0};
    enum lp_code rc = new_plan(decoder, writer, &entry.plan, err);
    if (rc == LP_E_MEMORY) return rc;
    if (rc != LP_OK) {
        err->action = LP_SKIP_RECORD;
        entry.failure = malloc(sizeof *entry.failure);
        if (entry.failure == NULL) return lp_fail_memory(err, sizeof *entry.failure);
        *entry.failure = *err;
    }
    uint32_t at = take_entry(decoder);
    decoder->ids[at] = id;
    decoder->entries[at] = entry;
    decoder->last = at;
    return LP_OK;
}

/* Points decoder->last at the schema's entry. */
static enum lp_code select_entry(struct lp_decoder *decoder, uint64_t id, struct lp_error *err)
{
    if (__builtin_expect(decoder->entry_count > 0 && decoder->ids[decoder->last] == id, 1)) return LP_OK;
    for (uint32_t i = 0; i < decoder->entry_count; i++) {
        if (decoder->ids[i] != id) continue;
        decoder->last = i;
        return LP_OK;
    }
    return add_entry(decoder, id, err);
}

static enum lp_code run_entry(struct lp_decoder *decoder, uint64_t id, struct lp_span body, struct lp_record *record,
                              struct lp_error *err)
{
    decoder->schema_id = id;
    LP_TRY(select_entry(decoder, id, err));
    const struct entry *entry = &decoder->entries[decoder->last];
    enum lp_code rc;
    if (entry->failure != NULL) {
        *err = *entry->failure;
        rc = err->code;
    } else {
        rc = lp_avro_plan_run(entry->plan, body, record, err);
    }
    if (__builtin_expect(rc == LP_OK, 1)) return LP_OK;
    if (decoder->options.format == LP_INPUT_CONFLUENT) return lp_error_wrap(err, "schema id %" PRIu64, id);
    return lp_error_wrap(err, "schema %016" PRIx64, id);
}

/* The body of a record in Confluent's framing with the last record's schema; data NULL: it takes the long way. */
static struct lp_span usual_body(const struct lp_decoder *decoder, struct lp_span value, struct lp_span schema_id)
{
    enum { HEAD_BYTES = 5 };
    const struct lp_decoder_options *o = &decoder->options;
    struct lp_span other = {0};
    if (o->format != LP_INPUT_CONFLUENT || o->schema_id_bytes != HEAD_BYTES - 1 || schema_id.data != NULL ||
        value.size < HEAD_BYTES || value.size > o->record_max_bytes || value.data[0] != 0 || decoder->entry_count == 0)
        return other;
    uint32_t id;
    memcpy(&id, value.data + 1, sizeof id);
    if (__builtin_bswap32(id) != decoder->schema_id || decoder->ids[decoder->last] != decoder->schema_id ||
        decoder->entries[decoder->last].failure != NULL)
        return other;
    return lp_span_of(value.data + HEAD_BYTES, value.size - HEAD_BYTES);
}

enum lp_code lp_decoder_run(struct lp_decoder *decoder, struct lp_span value, struct lp_span schema_id,
                            struct lp_record *record, struct lp_error *err)
{
    const struct lp_decoder_options *o = &decoder->options;
    uint64_t id = 0;
    struct lp_span body = usual_body(decoder, value, schema_id);
    /* A record that fails here fails below once more, where the error is worded. */
    if (__builtin_expect(body.data != NULL, 1) &&
        lp_avro_plan_run(decoder->entries[decoder->last].plan, body, record, err) == LP_OK)
        return LP_OK;
    if (value.size > o->record_max_bytes)
        return lp_fail(err, LP_E_LIMIT, LP_SKIP_RECORD,
                       "a record of %zu bytes, at most %zu are read: raise input.record.max_bytes", value.size,
                       o->record_max_bytes);
    switch (o->format) {
    case LP_INPUT_JSON: return lp_json_plan_run(decoder->json, value, record, err);
    case LP_INPUT_AVRO: return lp_avro_plan_run(decoder->plain, value, record, err);
    case LP_INPUT_CONFLUENT:
        LP_TRY(lp_framing_confluent(value, schema_id, o->schema_id_bytes, &id, &body, err));
        return run_entry(decoder, id, body, record, err);
    case LP_INPUT_SINGLE_OBJECT:
        LP_TRY(lp_framing_single_object(value, &id, &body, err));
        return run_entry(decoder, id, body, record, err);
    }
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "an input format that does not exist: %d", (int)o->format);
}
