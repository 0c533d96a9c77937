#include "decode/framing.h"

enum { GUID_BYTES = 16, HEADER_ID_BYTES = 4, FINGERPRINT_BYTES = 8 };

static struct lp_span from(struct lp_span span, size_t offset)
{
    return lp_span_of(span.data + offset, span.size - offset);
}

static uint64_t big_endian(const unsigned char *p, uint32_t bytes)
{
    uint64_t value = 0;
    if (bytes == 4) return (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
    for (uint32_t i = 0; i < bytes; i++) value = value << 8 | p[i];
    return value;
}

/* What a value that is not framed as expected most likely is, and the cure. */
static const char *guess(struct lp_span value)
{
    if (value.size == 0) return "the value is empty";
    if (value.size >= 2 && value.data[0] == 0xc3 && value.data[1] == 0x01)
        return "this is single-object encoding: set input.format=single_object";
    if (value.data[0] == '{') return "this looks like JSON: set input.format=json";
    if (value.data[0] == 0) return "this looks like Confluent's framing: set input.format=confluent";
    if (value.data[0] == 3 && value.size >= 18)
        return "this looks like AWS Glue's framing, which is not in this release";
    return "set input.format to what the producer writes";
}

static enum lp_code refuse_guid(struct lp_error *err)
{
    return lp_fail(err, LP_E_UNSUPPORTED, LP_SKIP_RECORD,
                   "the schema is named by a GUID, which is not in this release: let the producer write schema ids");
}

static enum lp_code header_id(struct lp_span schema_id, uint64_t *ret_id, struct lp_error *err)
{
    if (schema_id.size == 1 + GUID_BYTES && schema_id.data[0] == 1) return refuse_guid(err);
    if (schema_id.size != 1 + HEADER_ID_BYTES || schema_id.data[0] != 0)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD,
                       "header __value_schema_id: %zu bytes that begin with %02x, not 00 and a 4-byte id: correct the "
                       "producer",
                       schema_id.size, schema_id.size > 0 ? schema_id.data[0] : 0u);
    *ret_id = big_endian(schema_id.data + 1, HEADER_ID_BYTES);
    return LP_OK;
}

enum lp_code lp_framing_confluent(struct lp_span value, struct lp_span schema_id, uint32_t id_bytes, uint64_t *ret_id,
                                  struct lp_span *ret_body, struct lp_error *err)
{
    if (schema_id.data != NULL) {
        LP_TRY(header_id(schema_id, ret_id, err));
        *ret_body = value;
        return LP_OK;
    }
    if (value.size > GUID_BYTES && value.data[0] == 1) return refuse_guid(err);
    if (value.size == 0 || value.data[0] != 0)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "not in Confluent's framing (00 and a schema id): %s",
                       guess(value));
    if (value.size < 1 + (size_t)id_bytes)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD,
                       "Confluent's framing cut short: %zu bytes, the schema id alone takes %u: correct the producer",
                       value.size, 1 + id_bytes);
    *ret_id = big_endian(value.data + 1, id_bytes);
    *ret_body = from(value, 1 + (size_t)id_bytes);
    return LP_OK;
}

enum lp_code lp_framing_single_object(struct lp_span value, uint64_t *ret_fingerprint, struct lp_span *ret_body,
                                      struct lp_error *err)
{
    if (value.size < 2 || value.data[0] != 0xc3 || value.data[1] != 0x01)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "not in single-object encoding (C3 01): %s", guess(value));
    if (value.size < 2 + FINGERPRINT_BYTES)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD,
                       "single-object encoding cut short: %zu bytes, its head takes 10: correct the producer",
                       value.size);
    uint64_t fingerprint = 0;
    for (int i = FINGERPRINT_BYTES - 1; i >= 0; i--) fingerprint = fingerprint << 8 | value.data[2 + i];
    *ret_fingerprint = fingerprint;
    *ret_body = from(value, 2 + FINGERPRINT_BYTES);
    return LP_OK;
}
