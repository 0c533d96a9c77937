#include "cmd/check.h"

#include "control/source.h"

void lp_check_model(const struct lp_model *model, struct lp_findings *findings)
{
    const struct lp_bundle *bundle = model->bundle;
    char sha256[LP_SHA256_TEXT_BYTES];
    struct lp_error err;
    lp_sha256_text(bundle->sha256, sha256);
    lp_findings_add(findings, LP_FINDING_PASS, "bundle", "%s %s, %u features, %u columns, %u outputs, sha256 %s",
                    bundle->name, bundle->version, bundle->feature_count, bundle->column_count, bundle->output_count,
                    sha256);
    if (lp_model_verify(model, &err) != LP_OK) {
        lp_findings_fail(findings, "golden", &err);
    } else if (bundle->golden_count == 0) {
        lp_findings_add(
            findings, LP_FINDING_WARN, "golden",
            "no rows: nothing says that this file scores as its maker's did; import --golden FILE adds them");
    } else {
        lp_findings_add(findings, LP_FINDING_PASS, "golden", "%u rows from %s are reproduced", bundle->golden_count,
                        bundle->golden_source);
    }
}

void lp_check_features(const struct lp_model *model, const struct lp_avro_schema *writer,
                       const struct lp_avro_schema *reader, const char *schema_name, struct lp_findings *findings)
{
    uint32_t failed = 0;
    struct lp_avro_plan *plan = NULL;
    struct lp_error err;
    /* Two schemas that do not resolve would say so for every feature. */
    if (lp_avro_plan_new(writer, reader, NULL, 0, &plan, &err) != LP_OK) {
        lp_findings_fail(findings, "schema", &err);
        return;
    }
    lp_avro_plan_free(plan);
    for (uint32_t i = 0; i < model->want_count; i++) {
        struct lp_want want = model->wants[i];
        want.slot = 0;
        plan = NULL;
        if (lp_avro_plan_new(writer, reader, &want, 1, &plan, &err) != LP_OK) {
            failed++;
            lp_findings_add(findings, LP_FINDING_FAIL, "feature", "%s from %s: %s", model->bundle->features[i].name,
                            want.path, err.text);
        }
        lp_avro_plan_free(plan);
    }
    if (failed == 0)
        lp_findings_add(findings, LP_FINDING_PASS, "features", "%s gives all %u", schema_name, model->want_count);
}
