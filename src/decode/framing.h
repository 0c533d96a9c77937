/* Taking a message value apart into schema id and body. Every failure is a bad record: LP_SKIP_RECORD. */
#ifndef LP_DECODE_FRAMING_H
#define LP_DECODE_FRAMING_H

#include "core/error.h"
#include "core/span.h"

#include <stdint.h>

/**
 * Confluent's wire format: 00, the schema id big-endian in `id_bytes` bytes, the body. When the header
 * __value_schema_id is there (00 and a 4-byte id), the value is the body alone.
 *
 * @param value     the message's value
 * @param schema_id the header's value, or absent (data == NULL)
 * @param id_bytes  4 or 8
 * @return LP_E_INVALID for another first byte or too few bytes (the text guesses what the value is instead);
 *         LP_E_UNSUPPORTED for GUIDs (01 and 16 bytes)
 */
LP_MUST_USE enum lp_code lp_framing_confluent(struct lp_span value, struct lp_span schema_id, uint32_t id_bytes,
                                              uint64_t *ret_id, struct lp_span *ret_body, struct lp_error *err);

/** Avro's single-object encoding: C3 01, CRC-64-AVRO fingerprint little-endian, the body. LP_E_INVALID otherwise. */
LP_MUST_USE enum lp_code lp_framing_single_object(struct lp_span value, uint64_t *ret_fingerprint,
                                                  struct lp_span *ret_body, struct lp_error *err);

#endif
