/* ONNX -> a draft with a graph. */
#include "import/onnx/lower.h"
#include "import/onnx/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDED_BYTES = 24 << 20 };

static const struct lp_onnx_op *find_op(const struct lp_onnx_node *node)
{
    static const struct {
        const char *domain;
        const struct lp_onnx_op *ops;
    } tables[] = {{"", lp_onnx_ops}, {"ai.onnx.ml", lp_onnx_ml_ops}, {"com.microsoft", lp_onnx_contrib_ops}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct lp_onnx_op *op = tables[i].ops;
             strcmp(tables[i].domain, node->domain) == 0 && op->name != NULL; op++)
            if (strcmp(op->name, node->op) == 0) return op;
    return NULL;
}

/* Ops that leave the first axis of a constant in its place. */
static bool takes_spread(const struct lp_onnx_node *node)
{
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Concat", "Identity"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(node->op, ops[i]) == 0) return true;
    return false;
}

static bool all_known(const struct lp_onnx *onnx, const struct lp_onnx_node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct lp_onnx_value *value = lp_onnx_input(onnx, node, i);
        if (value != NULL && value->kind != LP_ONNX_CONSTANT) return false;
    }
    return node->input_count > 0;
}

static enum lp_code lower(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_op *op = find_op(node);
    if (op == NULL) return lp_onnx_refuse(node, err, "this op is not in this release");
    if (lp_onnx_input(onnx, node, 0) == NULL && op->lower != lp_onnx_constant)
        return lp_onnx_bad(node, err, "input 0 is missing");
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct lp_onnx_value *value = lp_onnx_input(onnx, node, i);
        if (value != NULL && value->kind == LP_ONNX_UNKNOWN)
            return lp_onnx_refuse(node, err, "its input `%.64s` is an output that no op here makes", value->name);
        bool row_scale = value != NULL && value->kind == LP_ONNX_CONSTANT && value->known->row_scale != 0;
        if (row_scale && strcmp(node->op, "Mul") != 0 && strcmp(node->op, "MatMulInteger") != 0)
            return lp_onnx_refuse(node, err, "a row's own scale is only multiplied in this release");
        bool spread = value != NULL && value->kind == LP_ONNX_CONSTANT && value->known->is_spread;
        if (spread && !takes_spread(node))
            return lp_onnx_refuse(node, err, "a constant of as many rows as the batch has");
    }
    bool known = all_known(onnx, node);
    enum lp_code (*act)(struct lp_onnx *, const struct lp_onnx_node *, struct lp_error *) =
        known ? op->fold : op->lower;
    if (act == NULL)
        return lp_onnx_refuse(node, err,
                              known ? "it is not computed of constants in this release"
                                    : "it is only computed of constants in this release");
    return act(onnx, node, err);
}

/* A lowering blames its node itself, or leaves that to this. */
static enum lp_code lower_all(struct lp_onnx *onnx, struct lp_error *err)
{
    const uint32_t *order;
    uint32_t count;
    LP_TRY(lp_onnx_order(onnx, &order, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_onnx_node *node = &onnx->nodes[order[i]];
        enum lp_code rc = lower(onnx, node, err);
        if (rc != LP_OK) return strncmp(err->text, "node `", 6) == 0 ? rc : lp_onnx_blame(node, rc, err);
    }
    return LP_OK;
}

/* Texts that may stand in a manifest: printable ASCII. */
static bool is_plain(const char *text)
{
    while (*text >= 0x20 && *text < 0x7f) text++;
    return *text == '\0';
}

static void name_source(struct lp_onnx *onnx)
{
    const char *producer = onnx->proto->producer_name, *version = onnx->proto->producer_version;
    bool named =
        producer != NULL && producer[0] != '\0' && is_plain(producer) && (version == NULL || is_plain(version));
    snprintf(onnx->draft->source, sizeof onnx->draft->source, "onnx%s%.24s%s%.16s%s", named ? " (" : "",
             named ? producer : "", named && version != NULL && version[0] != '\0' ? " " : "",
             named && version != NULL ? version : "", named ? ")" : "");
}

static enum lp_code read_all(struct lp_onnx *onnx, struct lp_error *err)
{
    LP_TRY(lp_onnx_model_read(onnx, err));
    LP_TRY(lp_onnx_inputs_read(onnx, err));
    LP_TRY(lower_all(onnx, err));
    LP_TRY(lp_onnx_outputs_read(onnx, err));
    return lp_buffer_check(&onnx->draft->notes, "notes", err);
}

static void free_kept(void *kept) { lp_onnx_unpacked_free(kept); }

enum lp_code lp_import_onnx(struct lp_span bytes, const struct lp_import_options *options, struct lp_draft *draft,
                            struct lp_error *err)
{
    struct lp_onnx onnx = {.options = options, .draft = draft};
    LP_TRY(lp_onnx_unpack(bytes, &onnx.proto, err));
    /* Weights are transposed, widened and multiplied into one another; small models compute their shapes. */
    draft->storage.budget += FOLDED_BYTES + (uint64_t)LP_DRAFT_STORAGE_FACTOR * bytes.size;
    draft->kept = onnx.proto;
    draft->kept_free = free_kept;
    draft->is_network = true;
    draft->task = LP_TASK_REGRESSION;
    draft->link = LP_LINK_IDENTITY;
    name_source(&onnx);
    bool foreign = options != NULL && options->onnxruntime;
    enum lp_code rc = foreign ? lp_onnx_foreign_read(&onnx, bytes, err) : read_all(&onnx, err);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "ONNX model");
}
