// stages: import score
/* XGBoost's UBJSON, from its bytes to a scored row. */
#include "import_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_error err;
    struct lp_draft draft;
    lp_draft_init(&draft, size);
    const struct lp_import_options options = {.all_iterations = size % 2 == 0};
    if (lp_import_xgboost(lp_span_of(data, size), true, &options, &draft, &err) == LP_OK) use_draft(&draft);
    lp_draft_done(&draft);
    return 0;
}
