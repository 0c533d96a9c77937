/* Records of files, in chunks of whole records that any thread may decode: CSV, JSON Lines, Avro containers. */
#ifndef LP_DATA_DATA_H
#define LP_DATA_DATA_H

#include "core/error.h"
#include "data/bytes.h"
#include "decode/want.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_DATA_RECORD_MAX_BYTES = 64 << 20, /* a line, a CSV row, an Avro block as stored and as inflated */
    LP_DATA_HEADER_MAX_BYTES = 4 << 20,  /* metadata of an Avro container */
    LP_DATA_COLUMNS_MAX = 1 << 20,       /* of a CSV file */
    LP_DATA_FILES_MAX = 100000,          /* of a directory */
    LP_DATA_CHUNK_BYTES = 2 << 20,       /* the usual size of a chunk */
};

enum lp_data_format { LP_DATA_CSV, LP_DATA_JSON, LP_DATA_AVRO };

/** Where a record is, for a person. */
struct lp_data_place {
    const char *file;         /* borrowed from the data */
    uint64_t line;            /* of a text file, from 1; an Avro file: the block */
    uint64_t record;          /* Avro: the record in the block, from 1; else 0 */
    enum lp_data_format kind; /* what the two numbers mean */
};

/** A run of whole records; the caller's, filled by lp_data_next, decoded by a cursor. */
struct lp_chunk {
    const struct lp_data_layout *layout; /* of its file; borrowed from the data */
    const char *file;                    /* borrowed from the data */
    uint64_t index;                      /* counts the chunks of the data from 0 */
    uint64_t line;                       /* the first record's, as in lp_data_place */
    uint64_t record_count;               /* Avro; else 0: not known yet */
    unsigned char *data;                 /* owned */
    size_t begin, size;                  /* the records are data[begin, size) */
    size_t capacity;                     /* without LP_BYTES_PADDING */
};

struct lp_data;

/**
 * Open what `path` names and read the first bytes: the format is told by content.
 *
 * @param path        a file, `-` for stdin, or a directory: its files in the order of their names, those that begin
 *                    with `.` or `_` passed over; all of one format
 * @param chunk_bytes about how many bytes a chunk has; a record may be longer
 * @return LP_E_NOT_FOUND, LP_E_IO, LP_E_INVALID (empty), LP_E_UNSUPPORTED (a format that is none of these, says which
 *         where it can), LP_E_LIMIT
 */
LP_MUST_USE enum lp_code lp_data_open(const char *path, size_t chunk_bytes, struct lp_data **ret_data,
                                      struct lp_error *err);
void lp_data_close(struct lp_data *data);

enum lp_data_format lp_data_format(const struct lp_data *data);
/** "CSV", "JSON Lines" or "Avro". */
const char *lp_data_format_name(enum lp_data_format format);
/** Can it be opened and read once more? Not a pipe or a terminal. */
bool lp_data_is_seekable(const struct lp_data *data);
/** Bytes of all files, 0 when not known; and how many of them the chunks so far have taken. */
uint64_t lp_data_total_bytes(const struct lp_data *data);
uint64_t lp_data_taken_bytes(const struct lp_data *data);
uint32_t lp_data_file_count(const struct lp_data *data);

/** Called before a read that may wait for a pipe or a terminal: the moment to show what is done. */
void lp_data_on_idle(struct lp_data *data, void (*idle)(void *context), void *context);

/** What fields the records have, found without decoding the data. */
struct lp_data_column {
    const char *path; /* as a want names it; owned by the data */
    enum lp_data_hint {
        LP_DATA_ANY, /* CSV, or values of several types */
        LP_DATA_NUMBER,
        LP_DATA_BOOLEAN,
        LP_DATA_TEXT,
        LP_DATA_TIME,   /* an Avro logical type */
        LP_DATA_VECTOR, /* an array of numbers; CSV: columns NAME.0, NAME.1, ... */
        LP_DATA_OTHER,  /* no want takes it: a map, an array of records, ... */
    } hint;
    uint32_t width; /* of a vector; else 1 */
};

/**
 * The columns: a CSV header's, an Avro schema's leaves, or what the JSON records at the front have.
 * Before lp_data_want; valid until lp_data_close. LP_E_LIMIT past LP_DATA_COLUMNS_MAX.
 */
LP_MUST_USE enum lp_code lp_data_columns(struct lp_data *data, const struct lp_data_column **ret_columns,
                                         uint32_t *ret_count, struct lp_error *err);

/**
 * Say what is wanted, before the first chunk; and once more after it, when a look at it told better: lp_data_adopt has
 * an untouched copy of that chunk read the new way. Slots must be assigned (lp_want_assign_slots).
 * @param wants borrowed for the data's life
 * @return LP_E_MISMATCH, LP_E_NOT_FOUND, LP_E_INVALID: the first file cannot give it (err->field: the path)
 */
LP_MUST_USE enum lp_code lp_data_want(struct lp_data *data, const struct lp_want *wants, uint32_t want_count,
                                      struct lp_error *err);

/** Wants that no CSV column gives, or 0: they are missing in every record. *ret_first names one. After lp_data_want. */
uint32_t lp_data_absent(const struct lp_data *data, const char **ret_first);

/**
 * The next chunk; chunk->size is 0 at the end. One thread at a time. A zeroed chunk is a new one; its storage is reused
 * and freed by lp_chunk_done. A later file of a directory that lacks a column which the first has is LP_E_MISMATCH.
 */
LP_MUST_USE enum lp_code lp_data_next(struct lp_data *data, struct lp_chunk *chunk, struct lp_error *err);
void lp_chunk_done(struct lp_chunk *chunk);
void lp_data_adopt(const struct lp_data *data, struct lp_chunk *chunk);

/** Decodes the records of one chunk after the other. One thread; many cursors may share one data. */
struct lp_cursor;

LP_MUST_USE enum lp_code lp_cursor_new(const struct lp_data *data, struct lp_cursor **ret_cursor, struct lp_error *err);
void lp_cursor_free(struct lp_cursor *cursor);

/** Begin with a chunk, which the cursor may change (it unescapes in place) and which must outlive its use. */
LP_MUST_USE enum lp_code lp_cursor_start(struct lp_cursor *cursor, struct lp_chunk *chunk, struct lp_error *err);

/**
 * The next record, in the cursor's storage and the chunk's, valid until the next call; NULL at the end of the chunk.
 * CSV texts stay valid as long as the chunk.
 * @return LP_OK; a failure with action LP_SKIP_RECORD is one bad record, and the next call goes on behind it
 */
LP_MUST_USE enum lp_code lp_cursor_next(struct lp_cursor *cursor, struct lp_record **ret_record, struct lp_error *err);

/** Of the last record that lp_cursor_next gave or refused. */
void lp_cursor_place(struct lp_cursor *cursor, struct lp_data_place *ret_place);

/**
 * A number as CSV fields have it: decimal text, and inf, infinity, true and false in any case; NaN for what says that
 * there is none: nan, na, n/a, #n/a, <na>, null, none. Blanks around it are passed over. Hexadecimal and digits in
 * groups are no numbers.
 * @param text readable up to text + bytes + LP_BYTES_PADDING, and no digit right behind it
 */
bool lp_data_number(const unsigned char *text, size_t bytes, double *ret_number);

/** "clicks.csv: line 12" or "clicks.avro: block 2, record 7"; cut where `bytes` are not enough. */
void lp_data_place_text(const struct lp_data_place *place, char *text, size_t bytes);

#endif
