// stages: import score
/* LightGBM's text, from its lines to a scored row. */
#include "import_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_error err;
    struct lp_draft draft;
    lp_draft_init(&draft, size);
    if (lp_import_lightgbm(lp_span_of(data, size), &draft, &err) == LP_OK) use_draft(&draft);
    lp_draft_done(&draft);
    return 0;
}
