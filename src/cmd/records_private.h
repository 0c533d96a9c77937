/* What the readers of one format share: private to cmd/records*.c. */
#ifndef LP_CMD_RECORDS_PRIVATE_H
#define LP_CMD_RECORDS_PRIVATE_H

#include "cmd/records.h"

struct lp_csv;
struct lp_container;
struct lp_json_plan;

struct lp_records {
    struct lp_bytes bytes;
    const struct lp_want *wants; /* borrowed */
    uint32_t want_count;
    struct lp_record record; /* owned arrays */
    uint32_t number_count, text_count;
    /* one of these */
    struct lp_csv *csv;
    struct lp_container *container;
    struct lp_json_plan *json;
};

/** Scratch for a record of `bytes`: unescaped text is never longer; a number as text is, by at most 48 bytes a want. */
LP_MUST_USE enum lp_code lp_records_fit_scratch(struct lp_records *records, size_t bytes, struct lp_error *err);

/** The header row is read, columns are matched with wants. */
LP_MUST_USE enum lp_code lp_csv_open(struct lp_records *records, struct lp_error *err);
void lp_csv_close(struct lp_csv *csv);
LP_MUST_USE enum lp_code lp_csv_next(struct lp_records *records, bool *ret_done, struct lp_error *err);
uint32_t lp_csv_absent(const struct lp_csv *csv, const char **ret_first);

/** The header is read, the schema compiled against the wants. */
LP_MUST_USE enum lp_code lp_container_open(struct lp_records *records, struct lp_error *err);
void lp_container_close(struct lp_container *container);
LP_MUST_USE enum lp_code lp_container_next(struct lp_records *records, bool *ret_done, struct lp_error *err);

#endif
