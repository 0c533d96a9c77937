/* Records out of files, one after the other, by their content: CSV with a header, JSON Lines, or Avro containers. */
#ifndef LP_DATA_RECORDS_H
#define LP_DATA_RECORDS_H

#include "data/data.h"

struct lp_records;

/**
 * @param path       as lp_data_open; borrowed
 * @param wants      borrowed for the object's life; slots are already assigned
 * @param ret_format "CSV", "JSON Lines" or "Avro"
 * @return as lp_data_open and lp_data_want
 */
LP_MUST_USE enum lp_code lp_records_open(const char *path, const struct lp_want *wants, uint32_t want_count,
                                         struct lp_records **ret_records, const char **ret_format,
                                         struct lp_error *err);
/** As lp_records_open with a data of the caller's, which has its wants and gave no chunk yet; taken, also on failure.
 */
LP_MUST_USE enum lp_code lp_records_new(struct lp_data *data, struct lp_records **ret_records, struct lp_error *err);
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

/** Where the last record is that lp_records_next gave or refused. */
void lp_records_place(struct lp_records *records, struct lp_data_place *ret_place);
/** How far it is, for a progress view. */
const struct lp_data *lp_records_data(const struct lp_records *records);

#endif
