/* Which types and fields of two schemas correspond (Avro specification, "Schema Resolution" and "Aliases"). */
#include "decode/avro_compile.h"

/* Unqualified names, or the writer's full name among the reader's aliases. */
static bool names_match(const struct lp_avro_type *writer, const struct lp_avro_type *reader)
{
    if (lp_span_equal(writer->plain, reader->plain)) return true;
    for (uint32_t i = 0; i < reader->alias_count; i++)
        if (lp_span_equal(writer->full, reader->aliases[i])) return true;
    return false;
}

static bool promotes(enum lp_avro_kind writer, enum lp_avro_kind reader)
{
    if (writer >= LP_AVRO_INT && writer <= LP_AVRO_FLOAT) return reader > writer && reader <= LP_AVRO_DOUBLE;
    return (writer == LP_AVRO_STRING && reader == LP_AVRO_BYTES) ||
           (writer == LP_AVRO_BYTES && reader == LP_AVRO_STRING);
}

/*
 * Decimals of different scale do not match; the specification says the same of a different precision, which harms no
 * reader and which Java accepts: so do we.
 */
static bool decimals_match(const struct lp_avro_type *writer, const struct lp_avro_type *reader)
{
    return writer->logical != LP_AVRO_DECIMAL || reader->logical != LP_AVRO_DECIMAL || writer->scale == reader->scale;
}

static bool pair_matches(const struct lp_avro_type *writer, const struct lp_avro_type *reader)
{
    if (writer->kind != reader->kind) return promotes(writer->kind, reader->kind);
    switch (writer->kind) {
    case LP_AVRO_RECORD:
    case LP_AVRO_ENUM: return names_match(writer, reader);
    case LP_AVRO_FIXED:
        return writer->fixed_size == reader->fixed_size && names_match(writer, reader) &&
               decimals_match(writer, reader);
    case LP_AVRO_BYTES: return decimals_match(writer, reader);
    default: return true;
    }
}

/* Recursion follows arrays and maps only, which nest at most LP_AVRO_DEPTH_MAX deep. */
bool lp_avro_match(const struct lp_avro_type *writer, const struct lp_avro_type *reader)
{
    while (writer->kind == reader->kind && (writer->kind == LP_AVRO_ARRAY || writer->kind == LP_AVRO_MAP)) {
        writer = writer->branches[0];
        reader = reader->branches[0];
    }
    if (writer->kind == LP_AVRO_UNION) return true; /* decided by the datum */
    if (reader->kind != LP_AVRO_UNION) return pair_matches(writer, reader);
    for (uint32_t i = 0; i < reader->count; i++)
        if (lp_avro_match(writer, reader->branches[i])) return true;
    return false;
}

/* The same type, not one that it is promoted to or shares a plain name with. */
static bool is_same(const struct lp_avro_type *writer, const struct lp_avro_type *reader)
{
    return writer->kind == reader->kind && lp_span_equal(writer->full, reader->full) && lp_avro_match(writer, reader);
}

/*
 * The specification takes a union's first branch that matches. Java and fastavro look for the writer's own type first,
 * and so do we: a union read with its own schema must give each branch back as itself, not an int as the float before.
 */
const struct lp_avro_type *lp_avro_match_pick(const struct lp_avro_type *writer, const struct lp_avro_type *reader)
{
    if (reader->kind != LP_AVRO_UNION) return lp_avro_match(writer, reader) ? reader : NULL;
    for (uint32_t i = 0; i < reader->count; i++) /* read with its own schema: the usual case, at a pointer each */
        if (reader->branches[i] == writer) return writer;
    for (uint32_t i = 0; i < reader->count; i++)
        if (is_same(writer, reader->branches[i])) return reader->branches[i];
    for (uint32_t i = 0; i < reader->count; i++)
        if (lp_avro_match(writer, reader->branches[i])) return reader->branches[i];
    return NULL;
}

int64_t lp_avro_match_field(const struct lp_avro_type *writer, const struct lp_avro_type *reader, uint32_t at)
{
    const struct lp_avro_field *field = &reader->fields[at];
    int64_t found = lp_avro_index_of(writer->index, field->name);
    for (uint32_t i = 0; found < 0 && i < field->alias_count; i++) {
        /* A name that another reader field has by right, or by an earlier alias, is that field's. */
        if (lp_avro_index_of(reader->index, field->aliases[i]) >= 0) continue;
        if (lp_avro_index_of(reader->alias_index, field->aliases[i]) != at) continue;
        found = lp_avro_index_of(writer->index, field->aliases[i]);
    }
    return found;
}
