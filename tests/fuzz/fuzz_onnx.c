// stages: import score
/* ONNX, from its messages to a plan. */
#include "import_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct lp_import_options options = {0};
    struct lp_error err;
    struct lp_draft draft;
    lp_draft_init(&draft, size);
    if (lp_import_onnx(lp_span_of(data, size), &options, &draft, &err) == LP_OK) use_draft(&draft);
    lp_draft_done(&draft);
    return 0;
}
