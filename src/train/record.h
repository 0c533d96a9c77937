/* Records as JSON: from decoded values, or made up. */
#ifndef LP_TRAIN_RECORD_H
#define LP_TRAIN_RECORD_H

#include "core/buffer.h"
#include "decode/want.h"
#include "model/bundle.h"

/** One JSON object with each feature at its path, missing ones left out, and a zero byte behind it. */
LP_MUST_USE enum lp_code lp_record_write(const struct lp_bundle *features, const uint32_t *slots,
                                         const struct lp_record *record, struct lp_buffer *out, struct lp_error *err);

/** The same with values that no row had: numbers about the feature's center, words of its vocabulary. */
LP_MUST_USE enum lp_code lp_record_invent(const struct lp_bundle *features, uint64_t seed, struct lp_buffer *out,
                                          struct lp_error *err);

#endif
