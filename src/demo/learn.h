/* The demo's models, learned at its start from the year that it replays. */
#ifndef LP_DEMO_LEARN_H
#define LP_DEMO_LEARN_H

#include "core/error.h"
#include "demo/flights.h"
#include "model/bundle.h"

struct lp_learned {
    char path[4096];
    char sha256[LP_SHA256_TEXT_BYTES];
    uint32_t rows;  /* learned from */
    double auc;     /* of days that were held out */
    double seconds; /* all of it: fitting, training, verifying */
};

/**
 * Fit, train and write FOLDER/flights-VERSION.safetensors: "departs more than 15 minutes late" of the months `first` to
 * `last`; a fifth of the days validates. The same bytes on every run.
 */
LP_MUST_USE enum lp_code lp_learn(const struct lp_flights *flights, int first, int last, const char *version,
                                  const char *folder, struct lp_learned *ret_learned, struct lp_error *err);

#endif
