/* Validation data as serving sees it: cleaned rows in doubles, and what is true of each. */
#ifndef LP_OPTIMIZE_VALID_H
#define LP_OPTIMIZE_VALID_H

#include "score/model.h"
#include "train/words.h"

enum { LP_VALID_REASON_BYTES = 256 };

struct lp_valid {
    double *rows;    /* [row_count][column_count] */
    double *y;       /* [row_count] number of the class, or the value; ranking: 1 or 0 */
    uint32_t *group; /* [row_count] number in `groups`; NULL: not asked */
    struct lp_words groups;
    uint32_t row_count, column_count;
    uint64_t refused; /* records that cleaning refused: serving scores none of them */
    char first_refused[LP_VALID_REASON_BYTES];
};

/**
 * Read all records of a file.
 * @param path  CSV, JSON Lines, Avro, or a folder of them
 * @param label path of the label in the record: a label of the bundle (without labels: 0, 1, ...), or a number
 * @param group path of what rows that are ranked together have in common; NULL: none
 * @return LP_E_INVALID naming the record for a label that is missing or none of the model's, or what cannot be decoded;
 *         LP_E_LIMIT past 4 GiB of rows, LP_E_MEMORY, what lp_records_* return
 */
LP_MUST_USE enum lp_code lp_valid_read(const char *path, const struct lp_model *model, const char *label,
                                       const char *group, struct lp_valid *ret_valid, struct lp_error *err);
void lp_valid_done(struct lp_valid *valid);

#endif
