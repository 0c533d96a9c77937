/* Parsing Canonical Form and its CRC-64-AVRO (Avro specification, "Transforming into Parsing Canonical Form"). */
#include "decode/avro_schema.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t EMPTY = 0xc15d213aa4d7a795u;

struct canonical {
    uint64_t crc;
    uint32_t defined; /* named types written out so far: those of a lower id, since ids follow the text */
    void (*sink)(void *to, const char *text, size_t bytes);
    void *to;
    uint64_t table[256];
};

static void fill_table(uint64_t *table)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t fp = i;
        for (int bit = 0; bit < 8; bit++) fp = (fp >> 1) ^ (EMPTY & (0 - (fp & 1u)));
        table[i] = fp;
    }
}

static void put(struct canonical *out, const void *text, size_t bytes)
{
    const unsigned char *at = text;
    for (size_t i = 0; i < bytes; i++) out->crc = (out->crc >> 8) ^ out->table[(out->crc ^ at[i]) & 0xff];
    if (out->sink != NULL) out->sink(out->to, text, bytes);
}

static void put_text(struct canonical *out, const char *text) { put(out, text, strlen(text)); }

/* Names are checked when they are read: none holds a byte that JSON would escape. */
static void put_name(struct canonical *out, struct lp_span name)
{
    put_text(out, "\"");
    put(out, name.data, name.size);
    put_text(out, "\"");
}

static void put_type(struct canonical *out, const struct lp_avro_type *type);

static void put_fields(struct canonical *out, const struct lp_avro_type *type)
{
    put_text(out, ",\"fields\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        put_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        put_name(out, type->fields[i].name);
        put_text(out, ",\"type\":");
        put_type(out, type->fields[i].type);
        put_text(out, "}");
    }
    put_text(out, "]");
}

static void put_named(struct canonical *out, const struct lp_avro_type *type)
{
    if (type->id < out->defined) {
        put_name(out, type->full);
        return;
    }
    out->defined++;
    put_text(out, "{\"name\":");
    put_name(out, type->full);
    put_text(out, ",\"type\":\"");
    put_text(out, lp_avro_kind_name(type->kind));
    put_text(out, "\"");
    if (type->kind == LP_AVRO_RECORD) put_fields(out, type);
    if (type->kind == LP_AVRO_ENUM) {
        put_text(out, ",\"symbols\":[");
        for (uint32_t i = 0; i < type->count; i++) {
            if (i > 0) put_text(out, ",");
            put_name(out, type->symbols[i]);
        }
        put_text(out, "]");
    }
    if (type->kind == LP_AVRO_FIXED) {
        char size[32];
        snprintf(size, sizeof size, ",\"size\":%u", (unsigned)type->fixed_size);
        put_text(out, size);
    }
    put_text(out, "}");
}

/* Recursion is bounded: named types are entered once, and each lies within the LP_AVRO_DEPTH_MAX of its definition. */
static void put_type(struct canonical *out, const struct lp_avro_type *type)
{
    switch (type->kind) {
    case LP_AVRO_RECORD:
    case LP_AVRO_ENUM:
    case LP_AVRO_FIXED: put_named(out, type); break;
    case LP_AVRO_ARRAY:
    case LP_AVRO_MAP:
        put_text(out, type->kind == LP_AVRO_ARRAY ? "{\"type\":\"array\",\"items\":" : "{\"type\":\"map\",\"values\":");
        put_type(out, type->branches[0]);
        put_text(out, "}");
        break;
    case LP_AVRO_UNION:
        put_text(out, "[");
        for (uint32_t i = 0; i < type->count; i++) {
            if (i > 0) put_text(out, ",");
            put_type(out, type->branches[i]);
        }
        put_text(out, "]");
        break;
    default:
        put_text(out, "\"");
        put_text(out, lp_avro_kind_name(type->kind));
        put_text(out, "\"");
    }
}

uint64_t lp_avro_canonical(const struct lp_avro_type *root, void (*sink)(void *to, const char *text, size_t bytes),
                           void *to)
{
    struct canonical out = {.crc = EMPTY, .sink = sink, .to = to};
    fill_table(out.table);
    put_type(&out, root);
    return out.crc;
}
