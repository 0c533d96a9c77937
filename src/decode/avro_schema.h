/* Avro schemas in memory: what the parser builds and the compiler reads. Private to src/decode/avro*.c. */
#ifndef LP_DECODE_AVRO_SCHEMA_H
#define LP_DECODE_AVRO_SCHEMA_H

#include "decode/avro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LP_AVRO_NAME_MAX_BYTES = 1024,             /* a full name */
    LP_AVRO_FIXED_MAX_BYTES = 1 << 30,         /* a fixed's size */
    LP_AVRO_WEIGHT_MAX = 1 << 20,              /* where lp_avro_type.weight saturates */
    LP_AVRO_POOL_MAX_BYTES = 64 * 1024 * 1024, /* memory of one schema */
};

enum lp_avro_kind {
    LP_AVRO_NULL,
    LP_AVRO_BOOLEAN,
    LP_AVRO_INT,
    LP_AVRO_LONG,
    LP_AVRO_FLOAT,
    LP_AVRO_DOUBLE,
    LP_AVRO_BYTES,
    LP_AVRO_STRING,
    LP_AVRO_PRIMITIVES, /* count of the above */
    LP_AVRO_RECORD = LP_AVRO_PRIMITIVES,
    LP_AVRO_ENUM,
    LP_AVRO_FIXED,
    LP_AVRO_ARRAY,
    LP_AVRO_MAP,
    LP_AVRO_UNION,
};

/* Logical types; one that does not fit its type is LP_AVRO_PLAIN, as the specification asks. */
enum lp_avro_logical {
    LP_AVRO_PLAIN,
    LP_AVRO_DECIMAL,
    LP_AVRO_UUID,
    LP_AVRO_DATE,
    LP_AVRO_TIME,             /* of day, any unit */
    LP_AVRO_TIMESTAMP_MILLIS, /* the local-timestamp types too: read as UTC */
    LP_AVRO_TIMESTAMP_MICROS,
    LP_AVRO_TIMESTAMP_NANOS,
};

struct lp_avro_type;

struct lp_avro_field {
    struct lp_span name;
    const struct lp_avro_type *type;
    const json_t *fallback; /* the default; borrowed from the schema's JSON; NULL: none */
    struct lp_span *aliases;
    uint32_t alias_count;
};

/* Spans point into the schema's JSON or pool. */
struct lp_avro_type {
    enum lp_avro_kind kind;
    enum lp_avro_logical logical;
    uint32_t scale; /* decimal */
    bool complete;  /* false while its own definition is being read: a reference back to it is recursive */

    /*
     * Bytes of every datum, when those bytes also need no check (null, float, double, fixed, records of them), else
     * -1. Recursive types have no fixed size.
     */
    int64_t fixed_bytes;
    uint32_t weight; /* types in it, references followed; saturates (and always does when recursive) */

    uint32_t id;             /* named types: how many were defined before it */
    struct lp_span full;     /* ... the full name ... */
    struct lp_span plain;    /* ... and its last part */
    struct lp_span *aliases; /* full names */
    uint32_t alias_count;

    struct lp_avro_field *fields;         /* record */
    struct lp_span *symbols;              /* enum */
    const struct lp_avro_type **branches; /* union; array and map: [1] the items */
    uint32_t count;                       /* of fields, symbols or branches */
    uint32_t fixed_size;                  /* fixed */
    int64_t fallback_symbol;              /* enum: index of its default, -1: none */
    json_t *index;                        /* owned: field or symbol name -> position */
    json_t *alias_index;                  /* owned: field alias -> position; NULL: no aliases */
};

/** Memory that lives as long as its schema or plan: many small pieces, freed together. */
struct lp_avro_pool {
    struct lp_avro_chunk *chunks;
    size_t used_bytes;
    bool full; /* a piece went past LP_AVRO_POOL_MAX_BYTES */
};
/** Zeroed, 8-byte aligned; NULL when memory or LP_AVRO_POOL_MAX_BYTES runs out. */
void *lp_avro_pool_take(struct lp_avro_pool *pool, size_t count, size_t size);
/** Why a piece was not there: LP_E_LIMIT, which no second try helps, or LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_avro_pool_fail(const struct lp_avro_pool *pool, struct lp_error *err);
void lp_avro_pool_done(struct lp_avro_pool *pool);

struct lp_avro_schema {
    json_t *json; /* owned */
    const struct lp_avro_type *root;
    struct lp_avro_pool pool;
    json_t *names;               /* owned while parsing: full name -> position in `named` */
    struct lp_avro_type **named; /* owned */
    uint32_t named_count;
    uint32_t named_capacity;
    uint32_t node_count;
    uint64_t fingerprint;
};

/** Schema text as JSON: as json_loadb, but integers past 64 bits become reals instead of errors. */
LP_MUST_USE enum lp_code lp_avro_json_load(struct lp_span text, json_t **ret_json, struct lp_error *err);

/** Read `json` into schema->root. */
LP_MUST_USE enum lp_code lp_avro_schema_build(struct lp_avro_schema *schema, const json_t *json, struct lp_error *err);

/** Set type->logical and type->scale from the attributes of its JSON object. */
void lp_avro_logical_read(struct lp_avro_type *type, const json_t *attributes);

/** CRC-64-AVRO of the Parsing Canonical Form, computed while it is written; `sink` (may be NULL) is shown each piece.
 */
uint64_t lp_avro_canonical(const struct lp_avro_type *root, void (*sink)(void *to, const char *text, size_t bytes),
                           void *to);

/** Position of a field or symbol by name, or -1. */
int64_t lp_avro_index_of(const json_t *index, struct lp_span name);

/** The kind's name in a schema. */
const char *lp_avro_kind_name(enum lp_avro_kind kind);

#endif
