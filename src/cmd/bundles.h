/* Opening bundle files from the command line. */
#ifndef LP_CMD_BUNDLES_H
#define LP_CMD_BUNDLES_H

#include "core/error.h"
#include "score/model.h"

#include <stdbool.h>

/** Larger files are no bundles of anybody's on a command line: 16 GiB. */
#define LP_BUNDLES_MAX_BYTES ((uint64_t)16 << 30)

/** Does the file begin as a safetensors file does, or is it named as one? False also when it cannot be read. */
bool lp_bundles_looks_like(const char *path);

/** Load, prepare, and score the golden rows; release with lp_model_unref. */
LP_MUST_USE enum lp_code lp_bundles_open(const char *path, struct lp_model **ret_model, struct lp_error *err);

/** As lp_bundles_open, without the golden rows. */
LP_MUST_USE enum lp_code lp_bundles_load(const char *path, struct lp_model **ret_model, struct lp_error *err);

#endif
