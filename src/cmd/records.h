/* Records out of a file, by its content: CSV with a header, JSON Lines, or an Avro container file. */
#ifndef LP_CMD_RECORDS_H
#define LP_CMD_RECORDS_H

#include "cmd/bytes.h"
#include "core/error.h"
#include "decode/want.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_RECORDS_RECORD_MAX_BYTES = 64 << 20, /* a line, a CSV row, an Avro block as stored and as inflated */
    LP_RECORDS_HEADER_MAX_BYTES = 4 << 20,  /* metadata of an Avro container */
    LP_RECORDS_COLUMNS_MAX = 1 << 20,       /* of a CSV file */
};

struct lp_records;

/**
 * @param path       a file, or "-" for stdin; borrowed
 * @param wants      borrowed for the object's life; slots are already assigned
 * @param ret_format "CSV", "JSON Lines" or "Avro"
 * @return LP_E_NOT_FOUND, LP_E_IO; LP_E_INVALID, LP_E_UNSUPPORTED (a format that is none of these, says which where it
 *         can), LP_E_MISMATCH (an Avro schema that cannot give a want)
 */
LP_MUST_USE enum lp_code lp_records_open(const char *path, const struct lp_want *wants, uint32_t want_count,
                                         struct lp_records **ret_records, const char **ret_format,
                                         struct lp_error *err);
void lp_records_close(struct lp_records *records);

/** Called before a read that may wait for a pipe or a terminal: the moment to show what is done. */
void lp_records_on_idle(struct lp_records *records, void (*idle)(void *context), void *context);

/** Wants that no CSV column gives, or 0: they are missing in every record. *ret_first names one. */
uint32_t lp_records_absent(const struct lp_records *records, const char **ret_first);

/**
 * The next record, in the object's own storage, valid until the next call; *ret_record is NULL at the end.
 * @return LP_OK; a failure with action LP_SKIP_RECORD is one bad record, and the next call goes on behind it
 */
LP_MUST_USE enum lp_code lp_records_next(struct lp_records *records, struct lp_record **ret_record,
                                         struct lp_error *err);

#endif
