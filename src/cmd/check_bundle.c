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

struct check {
    const struct lp_model *model;
    const struct lp_avro_schema *writer, *reader;
    struct lp_findings *findings;
};

static enum lp_code try_wants(const struct check *check, uint32_t first, uint32_t count, struct lp_error *err)
{
    struct lp_avro_plan *plan = NULL;
    enum lp_code rc = lp_avro_plan_new(check->writer, check->reader, check->model->wants + first, count, &plan, err);
    lp_avro_plan_free(plan);
    return rc;
}

/*
 * One line for each feature that cannot be read, by halves, as a plan for each would look at a wide schema once a
 * feature; returns how many. Recursion is as deep as the count has bits.
 */
static uint32_t find_failures(const struct check *check, uint32_t first, uint32_t count)
{
    struct lp_error err;
    if (count == 0 || try_wants(check, first, count, &err) == LP_OK) return 0;
    if (count > 1)
        return find_failures(check, first, count / 2) + find_failures(check, first + count / 2, count - count / 2);
    lp_findings_add(check->findings, LP_FINDING_FAIL, "feature", "%s from %s: %s",
                    check->model->bundle->features[first].name, check->model->wants[first].path, err.text);
    return 1;
}

void lp_check_features(const struct lp_model *model, const struct lp_avro_schema *writer,
                       const struct lp_avro_schema *reader, const char *schema_name, struct lp_findings *findings)
{
    const struct check check = {.model = model, .writer = writer, .reader = reader, .findings = findings};
    struct lp_error whole, none;
    if (try_wants(&check, 0, model->want_count, &whole) == LP_OK) {
        lp_findings_add(findings, LP_FINDING_PASS, "features", "%s gives all %u", schema_name, model->want_count);
        return;
    }
    /* Two schemas that do not resolve would say so for every feature; a limit may be met by all features together. */
    if (try_wants(&check, 0, 0, &none) != LP_OK) lp_findings_fail(findings, "schema", &none);
    else if (find_failures(&check, 0, model->want_count) == 0) lp_findings_fail(findings, "features", &whole);
}
