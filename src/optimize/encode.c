/* The picked variant as a bundle that a worker takes. */
#include "optimize/variants.h"

#include "model/write.h"
#include "train/export.h"
#include "train/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { INVENTED_ROWS = 16, GOLDEN_ROWS_MAX = 64, STEP_BYTES = 512 };

/* No row of the validation data: what it holds may be nobody's to pass on. */
static enum lp_code collect(const struct lp_bundle *parent, struct lp_buffer *records, uint32_t *ret_count,
                            struct lp_error *err)
{
    uint32_t count = parent->golden_count < GOLDEN_ROWS_MAX ? parent->golden_count : GOLDEN_ROWS_MAX;
    *ret_count = count > 0 ? count : INVENTED_ROWS;
    for (uint32_t i = 0; i < count; i++)
        lp_buffer_append(records, parent->golden[i].record, strlen(parent->golden[i].record) + 1);
    for (uint32_t i = 0; count == 0 && i < INVENTED_ROWS; i++) LP_TRY(lp_record_invent(parent, i + 1, records, err));
    return lp_buffer_check(records, "the golden rows", err);
}

/*
 * Another processor may round a value next to a quantum's border to its other side, which moves a margin by less than
 * all roundings together do, and those were measured.
 */
static void widen(json_t *golden, const struct lp_variant *variant)
{
    double atol = json_number_value(json_object_get(golden, "atol"));
    bool rounds = variant->kind == LP_VARIANT_INT8 || variant->kind == LP_VARIANT_INT8_BUT;
    if (rounds) json_object_set_new(golden, "atol", json_real(fmax(atol, variant->margin_change)));
}

enum lp_code lp_optimize_encode(const struct lp_optimized *o, const struct lp_variant *variant, struct lp_buffer *out,
                                struct lp_error *err)
{
    char step[STEP_BYTES], sha256[LP_SHA256_TEXT_BYTES];
    struct lp_draft *draft = NULL;
    struct lp_buffer records;
    json_t *golden = NULL;
    uint32_t count = 0;
    enum lp_code rc;
    if (variant->kind == LP_VARIANT_ORIGINAL)
        return lp_bundle_encode(o->model->bundle->manifest_json, o->model->bundle->tensors,
                                o->model->bundle->tensor_count, out, err);
    lp_buffer_init(&records, SIZE_MAX / 2);
    snprintf(step, sizeof step, "lepton optimize: %s%s%s; %s %+.3g (95 %%: %+.3g to %+.3g) on %u rows", variant->name,
             variant->detail[0] != '\0' ? ", " : "", variant->detail, lp_optimize_loss_name(o->model->bundle),
             variant->differences.loss.difference, variant->differences.loss.low, variant->differences.loss.high,
             o->valid.row_count);
    LP_GUARD(lp_variants_make(o, variant, &draft, err));
    LP_GUARD(lp_draft_set_lineage(draft, o->model->bundle, step, variant->suffix, err));
    LP_GUARD(collect(o->model->bundle, &records, &count, err));
    LP_GUARD(lp_draft_encode(draft, out, err));
    LP_GUARD(lp_export_golden(lp_buffer_span(out), (const char *)records.data, count, &golden, err));
    if (golden != NULL) widen(golden, variant);
    lp_buffer_clear(out);
    if (golden != NULL) json_object_set(draft->manifest, "golden", golden);
    LP_GUARD(lp_draft_encode(draft, out, err));
    rc = lp_export_verify(lp_buffer_span(out), sha256, err);
out:
    json_decref(golden);
    lp_buffer_done(&records);
    lp_draft_free(draft);
    return rc;
}
