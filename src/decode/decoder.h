/* The decode stage: framing, schema, plan. One decoder a lane and model; owns the compiled plans. */
#ifndef LP_DECODE_DECODER_H
#define LP_DECODE_DECODER_H

#include "core/error.h"
#include "core/span.h"
#include "decode/want.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_decoder;
struct lp_registry;
struct lp_avro_schema;

enum lp_input_format {
    LP_INPUT_CONFLUENT,     /* 00 + 4-byte id, 00 + 8-byte id (schema_id_bytes 8), or id in header __value_schema_id */
    LP_INPUT_SINGLE_OBJECT, /* C3 01 + fingerprint */
    LP_INPUT_AVRO,          /* bare body of `writer` */
    LP_INPUT_JSON,
};

struct lp_decoder_options {
    enum lp_input_format format;
    uint32_t schema_id_bytes;                    /* confluent: 4 or 8 */
    struct lp_registry *registry;                /* borrowed; confluent needs it */
    const struct lp_avro_schema *const *writers; /* borrowed; [writer_count] schema files: bare Avro takes the first,
                                                    single-object finds its fingerprint */
    uint32_t writer_count;
    const struct lp_avro_schema *reader; /* borrowed; NULL: each writer's own */
    size_t record_max_bytes;             /* larger bodies are LP_E_LIMIT, LP_SKIP_RECORD */
    uint32_t plans_max;                  /* plans kept; the oldest goes */
};

/**
 * Slots are assigned here: wants[i].slot is overwritten, in order (lp_want_assign_slots). The list is copied; the paths
 * stay borrowed.
 * LP_E_INVALID for options that do not fit together; bare Avro compiles its plan here (as lp_avro_plan_new), JSON its
 * wants (as lp_json_plan_new), the others with the first record of a schema. All LP_FATAL.
 */
LP_MUST_USE enum lp_code lp_decoder_new(const struct lp_decoder_options *options, struct lp_want *wants,
                                        uint32_t want_count, struct lp_decoder **ret_decoder, struct lp_error *err);
void lp_decoder_free(struct lp_decoder *decoder);

/** Sizes for the caller's lp_record. */
uint32_t lp_decoder_number_count(const struct lp_decoder *decoder);
uint32_t lp_decoder_text_count(const struct lp_decoder *decoder);

/**
 * Decode one message value. Lane thread only.
 *
 * @param value     the bytes; absent data is a caller's error
 * @param schema_id value of the header __value_schema_id, or absent
 * @return LP_OK; LP_SKIP_RECORD action: a bad record (err->field names the field where one is known), among them those
 *         whose schema is unknown or cannot give what is wanted (remembered with the schema, and cheap to say again);
 *         LP_E_PENDING/LP_RETRY: the schema is being fetched, offer the same record again later
 * Allocates only when a writer schema is seen for the first time.
 */
LP_MUST_USE enum lp_code lp_decoder_run(struct lp_decoder *decoder, struct lp_span value, struct lp_span schema_id,
                                        struct lp_record *record, struct lp_error *err);

/** Writer schema id (or fingerprint) of the last record offered, also of one whose schema is pending; 0: none. */
uint64_t lp_decoder_schema_id(const struct lp_decoder *decoder);

/**
 * Read an Avro schema file (JSON, at most LP_AVRO_SCHEMA_MAX_BYTES).
 * LP_E_NOT_FOUND, LP_E_IO, LP_E_LIMIT, LP_E_INVALID, all LP_FATAL and naming the file; the caller frees the schema.
 */
LP_MUST_USE enum lp_code lp_schema_load_file(const char *path, struct lp_avro_schema **ret_schema,
                                             struct lp_error *err);

#endif
