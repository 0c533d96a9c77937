/* What the formats share: private to data/. */
#ifndef LP_DATA_PRIVATE_H
#define LP_DATA_PRIVATE_H

#include "core/buffer.h"
#include "data/data.h"
#include "data/input.h"

struct lp_csv_map;
struct lp_avro_plan;
struct lp_json_plan;

enum lp_codec { LP_CODEC_NULL, LP_CODEC_DEFLATE, LP_CODEC_SNAPPY, LP_CODEC_ZSTANDARD };

enum { LP_AVRO_SYNC_BYTES = 16 };

/** What an Avro container's metadata says. */
struct lp_container {
    enum lp_codec codec;
    unsigned char sync[LP_AVRO_SYNC_BYTES];
    struct lp_buffer schema; /* of the writer, JSON */
};

/** How the records of a file become records of the wants. Immutable once made; any thread. */
struct lp_data_layout {
    struct lp_data_layout *next; /* the data's list */
    const struct lp_want *wants;
    uint32_t want_count;
    uint32_t number_count, text_count;
    enum lp_data_format format;
    struct lp_csv_map *csv;
    struct lp_json_plan *json;
    struct lp_avro_plan *avro;
    struct lp_avro_plan *skip; /* no wants: how long a record is, so that the one behind a bad one is found */
    struct lp_container container;
};

struct lp_data {
    struct lp_inputs inputs;
    uint32_t file; /* of inputs: the one that is open */
    struct lp_bytes bytes;
    void (*idle)(void *context);
    void *idle_context;
    enum lp_data_format format;
    size_t chunk_bytes;
    uint64_t chunk_count, taken_bytes;
    uint64_t line; /* of the first byte of the window; Avro: of the next block, from 1 */
    const struct lp_want *wants;
    uint32_t want_count, number_count, text_count;
    struct lp_data_layout *layouts; /* owned list, the current file's first */
    struct lp_buffer header;        /* CSV: the header row, terminated; Avro: see container */
    struct lp_container container;  /* of the current file */
    struct lp_data_column *columns; /* owned */
    uint32_t column_count;
    struct lp_buffer names; /* of the columns */
};

struct lp_cursor {
    const struct lp_data *data;
    struct lp_chunk *chunk;
    struct lp_record record; /* owned arrays */
    const unsigned char *at, *end;
    const unsigned char *record_begin;   /* CSV and JSON: of the last record */
    const unsigned char *counted;        /* lines are counted up to here ... */
    uint64_t line;                       /* ... and this is the line there; Avro: the block */
    uint64_t record_number, record_left; /* Avro */
    struct lp_buffer plain;              /* Avro: the block without its codec */
    struct lp_csv_field *fields;         /* CSV */
    uint32_t field_capacity;
};

/* --- CSV --- */

/** How far complete rows go in a growing window. */
struct lp_csv_split {
    size_t at;   /* bytes looked at */
    size_t end;  /* behind the last complete row */
    bool quoted; /* `at` is inside quotes */
};
/** Look at the bytes up to `size`, from where the last call stopped. */
void lp_csv_split(struct lp_csv_split *split, const unsigned char *data, size_t size, bool at_end);

struct lp_csv_field {
    const unsigned char *text;
    uint32_t bytes;
    bool quoted, escaped; /* escaped: it has doubled quotes */
};

enum { LP_CSV_FIELDS_SPARE = 64 }; /* with so many places to spare the quickest way is taken */

/**
 * Take one row apart. Behind `end` there must be LP_BYTES_PADDING bytes, each a newline.
 * @param ret_malformed a quote inside a field, or text behind a closing quote, or a quote never closed
 * @return behind the row; *ret_count may be above `capacity`: grow `fields` and ask again
 */
const unsigned char *lp_csv_row(const unsigned char *p, const unsigned char *end, struct lp_csv_field *fields,
                                uint32_t capacity, uint32_t *ret_count, bool *ret_malformed);

/** Doubled quotes made single in place; what is left over at the end becomes quotes, so that lines stay countable. */
void lp_csv_unescape(struct lp_csv_field *field);

/** The header row -> data->header; LP_E_INVALID for one that is none. */
LP_MUST_USE enum lp_code lp_csv_read_header(struct lp_data *data, struct lp_error *err);
LP_MUST_USE enum lp_code lp_csv_map_new(const struct lp_data *data, struct lp_csv_map **ret_map, struct lp_error *err);
void lp_csv_map_free(struct lp_csv_map *map);
uint32_t lp_csv_absent(const struct lp_csv_map *map, const char **ret_first);
LP_MUST_USE enum lp_code lp_csv_next(struct lp_cursor *cursor, struct lp_record **ret_record, struct lp_error *err);
LP_MUST_USE enum lp_code lp_csv_columns(struct lp_data *data, struct lp_error *err);

/* --- Avro --- */

LP_MUST_USE enum lp_code lp_container_open(struct lp_data *data, struct lp_error *err);
LP_MUST_USE enum lp_code lp_container_compile(const struct lp_data *data, struct lp_data_layout *layout,
                                              struct lp_error *err);
/** The next block -> chunk; size 0 at the end. */
LP_MUST_USE enum lp_code lp_container_next(struct lp_data *data, struct lp_chunk *chunk, struct lp_error *err);
LP_MUST_USE enum lp_code lp_container_start(struct lp_cursor *cursor, struct lp_error *err);
LP_MUST_USE enum lp_code lp_container_record(struct lp_cursor *cursor, struct lp_record **ret_record,
                                             struct lp_error *err);
LP_MUST_USE enum lp_code lp_container_columns(struct lp_data *data, struct lp_error *err);

/** `stored` without its codec into `out`, whose maximum stops a bomb; *ret_what says what is wrong, NULL: nothing. */
LP_MUST_USE enum lp_code lp_codec_decode(enum lp_codec codec, struct lp_span stored, struct lp_buffer *out,
                                         const char **ret_what, struct lp_error *err);

/* --- all --- */

/** One more column; the path is copied. */
LP_MUST_USE enum lp_code lp_data_add_column(struct lp_data *data, struct lp_span path, enum lp_data_hint hint,
                                            uint32_t width, struct lp_error *err);
/** Scratch for a record of `bytes`: unescaped text is never longer; a number as text is, by at most 48 bytes a want. */
LP_MUST_USE enum lp_code lp_cursor_fit_scratch(struct lp_cursor *cursor, size_t bytes, struct lp_error *err);
/** How many bytes of a text file's window are whole records; reads until it is at least one, or the file ends. */
LP_MUST_USE enum lp_code lp_data_whole_records(struct lp_data *data, size_t *ret_bytes, struct lp_error *err);
LP_MUST_USE enum lp_code lp_json_columns(struct lp_data *data, struct lp_error *err);

#endif
