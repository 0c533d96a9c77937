/* A draft through the writer, the loader, the plan and a row: what the importers' fuzz targets share. */
#ifndef TESTS_FUZZ_IMPORT_MODEL_H
#define TESTS_FUZZ_IMPORT_MODEL_H

#include "import/import.h"
#include "score/scorer.h"

#include <stdlib.h>

static void use_draft(struct lp_draft *draft)
{
    struct lp_error err;
    struct lp_buffer out;
    struct lp_bundle *bundle;
    struct lp_model *model;
    json_t *spec = lp_import_spec(draft, "m", "1");
    lp_buffer_init(&out, SIZE_MAX / 2);
    if (spec != NULL && lp_import_encode(draft, spec, NULL, &out, &err) == LP_OK &&
        lp_bundle_parse(lp_buffer_span(&out), &bundle, &err) == LP_OK &&
        lp_model_new(bundle, NULL, &model, &err) == LP_OK) {
        if (lp_model_verify(model, &err) != LP_OK) abort(); /* without golden rows there is nothing to fail */
        lp_model_unref(model);
    }
    lp_buffer_done(&out);
    json_decref(spec);
}

#endif
