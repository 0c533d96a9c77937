/* Golden records: in the manifest, or in tensors. */
#include "model/array.h"
#include "model/manifest.h"

#include <stdlib.h>
#include <string.h>

static enum lp_code read_row(struct lp_bundle *bundle, const json_t *json, uint32_t index, struct lp_golden_row *row,
                             struct lp_error *err)
{
    static const char *const members[] = {"record", "margin", "score", NULL};
    struct lp_node node;
    LP_TRY(lp_node_init(&node, json, members, err, "golden row %u", index));
    LP_TRY(lp_array_exact(bundle, &node, "margin", bundle->output_count, &row->margin, err));
    LP_TRY(lp_array_exact(bundle, &node, "score", bundle->output_count, &row->score, err));
    const json_t *record = json_object_get(node.json, "record");
    if (!json_is_object(record)) return LP_BAD(err, "%s: `record` is not an object", node.where);
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL) return lp_fail_memory(err, 0);
    row->record = lp_storage_text(bundle->storage, text, strlen(text), err);
    free(text);
    return row->record != NULL ? LP_OK : err->code;
}

static enum lp_code read_inline(struct lp_bundle *bundle, const struct lp_node *golden, struct lp_error *err)
{
    const json_t *array;
    LP_TRY(lp_node_array(golden, "rows", &array, err));
    size_t count = json_array_size(array);
    if (count > LP_BUNDLE_INLINE_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "golden: %zu rows: above %d they must be in tensors", count,
                       LP_BUNDLE_INLINE_MAX);
    struct lp_golden_row *rows = lp_storage_take(bundle->storage, count, sizeof *rows, err);
    if (rows == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) LP_TRY(read_row(bundle, json_array_get(array, i), i, &rows[i], err));
    bundle->golden = rows;
    bundle->golden_count = (uint32_t)count;
    return LP_OK;
}

static enum lp_code read_matrix(const struct lp_bundle *bundle, const struct lp_node *rows, const char *key,
                                uint32_t count, const double **ret_numbers, struct lp_error *err)
{
    static const char *const members[] = {"tensor", NULL};
    struct lp_node source;
    const struct lp_tensor *tensor;
    LP_TRY(lp_node_object(rows, key, members, &source, err));
    LP_TRY(lp_array_tensor(bundle, &source, "tensor", &tensor, err));
    if (tensor->dtype != LP_DTYPE_F64 || tensor->rank != 2 || tensor->dims[0] != count ||
        tensor->dims[1] != bundle->output_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: tensor `%.64s` must be F64 [%u, %u]", source.where,
                       tensor->name, count, bundle->output_count);
    *ret_numbers = tensor->data;
    return LP_OK;
}

static enum lp_code read_tensors(struct lp_bundle *bundle, const struct lp_node *golden, struct lp_error *err)
{
    static const char *const members[] = {"records", "margins", "scores", NULL};
    static const char *const text_members[] = {"tensor", "offsets", NULL};
    struct lp_node at, records;
    const char *const *texts;
    const double *margins, *scores;
    uint32_t count;
    LP_TRY(lp_node_object(golden, "rows", members, &at, err));
    LP_TRY(lp_node_object(&at, "records", text_members, &records, err));
    LP_TRY(lp_array_texts(bundle, &records, LP_BUNDLE_GOLDEN_MAX, &texts, &count, err));
    LP_TRY(read_matrix(bundle, &at, "margins", count, &margins, err));
    LP_TRY(read_matrix(bundle, &at, "scores", count, &scores, err));
    struct lp_golden_row *rows = lp_storage_take(bundle->storage, count, sizeof *rows, err);
    if (rows == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        rows[i].record = texts[i];
        rows[i].margin = margins + (size_t)i * bundle->output_count;
        rows[i].score = scores + (size_t)i * bundle->output_count;
    }
    bundle->golden = rows;
    bundle->golden_count = count;
    return LP_OK;
}

static enum lp_code read_tolerances(struct lp_bundle *bundle, const struct lp_node *golden, struct lp_error *err)
{
    LP_TRY(lp_node_number_or(golden, "rtol", &bundle->golden_rtol, err));
    LP_TRY(lp_node_number_or(golden, "atol", &bundle->golden_atol, err));
    if (!(bundle->golden_rtol >= 0 && bundle->golden_rtol <= 1 && bundle->golden_atol >= 0))
        return LP_BAD(err, "golden: `rtol` must be 0 to 1 and `atol` not negative");
    return LP_OK;
}

/* A model is scored on them before it goes live. */
static enum lp_code check_work(const struct lp_bundle *bundle, struct lp_error *err)
{
    uint64_t work = 0;
    for (uint32_t i = 0; i < bundle->op_count; i++) work += bundle->ops[i].work; /* bounded by the graph's reader */
    if (work > ((uint64_t)LP_BUNDLE_GOLDEN_WORK_GIGA_MAX << 30) / bundle->golden_count)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "golden: %u rows need more than %d * 2^30 multiply-adds: keep fewer",
                       bundle->golden_count, LP_BUNDLE_GOLDEN_WORK_GIGA_MAX);
    return LP_OK;
}

/* Rows need both tolerances and say who computed them. */
static enum lp_code read_rows(struct lp_bundle *bundle, const struct lp_node *golden, struct lp_error *err)
{
    double unused;
    LP_TRY(lp_node_number(golden, "rtol", &unused, err));
    LP_TRY(lp_node_number(golden, "atol", &unused, err));
    if (json_is_object(json_object_get(golden->json, "rows"))) LP_TRY(read_tensors(bundle, golden, err));
    else LP_TRY(read_inline(bundle, golden, err));
    if (bundle->golden_count == 0) return LP_BAD(err, "golden: no rows: say source `none`");
    return check_work(bundle, err);
}

enum lp_code lp_golden_read(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    static const char *const members[] = {"source", "rtol", "atol", "rows", NULL};
    struct lp_node golden;
    bundle->golden_source = "none";
    LP_TRY(lp_node_init(&golden, json_object_get(manifest->json, "golden"), members, err, "golden"));
    if (golden.json == NULL) return LP_OK;
    LP_TRY(lp_node_text(&golden, "source", LP_NAME_MAX_BYTES, bundle->storage, &bundle->golden_source, err));
    LP_TRY(read_tolerances(bundle, &golden, err));
    if (strcmp(bundle->golden_source, "none") != 0) return read_rows(bundle, &golden, err);
    if (lp_node_has(&golden, "rows")) return LP_BAD(err, "golden: rows without a source: say what computed them");
    return LP_OK;
}
