/*
 * Bundles: a whole file, or, when the input begins with {, a manifest put beside fixed tensors (so that its JSON is
 * mutated without the escapes of the header). What was accepted is read to its ends.
 */
// stages: model
#include "model/bundle.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Tensors of the names and shapes that the corpus' manifests use. */
static const char tensors[] = "\"w1\":{\"dtype\":\"F32\",\"shape\":[9,2],\"data_offsets\":[0,72]},"
                              "\"b1\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[72,80]},"
                              "\"w2\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[80,88]},"
                              "\"numbers\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[88,104]},"
                              "\"matrix\":{\"dtype\":\"F64\",\"shape\":[2,1],\"data_offsets\":[104,120]},"
                              "\"cuts\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[120,132]},"
                              "\"words\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[132,138]},"
                              "\"i8\":{\"dtype\":\"I8\",\"shape\":[9,2],\"data_offsets\":[138,156]},"
                              "\"f16\":{\"dtype\":\"F16\",\"shape\":[9,2],\"data_offsets\":[156,192]},"
                              "\"kernel\":{\"dtype\":\"F32\",\"shape\":[2,1,2,2],\"data_offsets\":[192,224]},"
                              "\"nine\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[224,260]},"
                              "\"picks\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[260,268]}}";
enum { DATA_BYTES = 268, LENGTH_BYTES = 8 };

static size_t put(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return size;
}

static size_t put_escaped(uint8_t *at, const uint8_t *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\') at[used++] = '\\';
        at[used++] = text[i] < 0x20 ? ' ' : text[i]; /* JSON texts hold no control characters */
    }
    return used;
}

static uint8_t *wrap_manifest(const uint8_t *text, size_t size, size_t *ret_size)
{
    static const char head[] = "{\"__metadata__\":{\"lepton\":\"", middle[] = "\"},";
    static const double numbers[] = {0.25, 7, 1, 2};
    static const int32_t cuts[] = {0, 2, 6};
    uint8_t *file = calloc(1, LENGTH_BYTES + sizeof head + 2 * size + sizeof middle + sizeof tensors + DATA_BYTES);
    if (file == NULL) return NULL;
    size_t used = LENGTH_BYTES;
    used += put(file + used, head, sizeof head - 1);
    used += put_escaped(file + used, text, size);
    used += put(file + used, middle, sizeof middle - 1);
    used += put(file + used, tensors, sizeof tensors - 1);
    put(file, &(uint64_t){used - LENGTH_BYTES}, LENGTH_BYTES);
    put(file + used + 88, numbers, sizeof numbers);
    put(file + used + 120, cuts, sizeof cuts);
    put(file + used + 132, "abcdef", 6);
    *ret_size = used + DATA_BYTES;
    return file;
}

static double read_baseline(const struct lp_baseline *baseline)
{
    double sum = baseline->missing_rate;
    for (uint32_t i = 0; i < baseline->edge_count; i++) sum += baseline->edges[i];
    for (uint32_t i = 0; i < baseline->bin_count; i++) sum += baseline->counts[i];
    return sum;
}

static double read_feature(const struct lp_feature *f)
{
    double sum = f->missing_value + f->center + f->scale + (double)strlen(f->name) + (double)strlen(f->from);
    for (uint32_t i = 0; f->vocabulary != NULL && i < f->vocabulary_count; i++) sum += (double)strlen(f->vocabulary[i]);
    return sum + read_baseline(&f->baseline);
}

static double read_tensor(const struct lp_tensor *tensor)
{
    double sum = 0;
    for (uint64_t i = 0; i < tensor->count * lp_dtype_bytes(tensor->dtype); i++)
        sum += ((const uint8_t *)tensor->data)[i];
    return sum;
}

/* What users of a bundle rely on; the process stops where it does not hold. */
static double read_all(const struct lp_bundle *bundle)
{
    double sum = read_baseline(&bundle->score_baseline) + (double)strlen(bundle->name) +
                 (double)strlen(bundle->version) + (double)strlen(bundle->created) +
                 (double)strlen(bundle->golden_source) + (double)strlen(bundle->manifest_json);
    uint32_t column = 0;
    for (uint32_t i = 0; i < bundle->feature_count; i++) {
        if (bundle->features[i].column != column) abort();
        column += bundle->features[i].column_count;
        sum += read_feature(&bundle->features[i]);
    }
    if (column != bundle->column_count) abort();
    for (uint32_t i = 0; i < bundle->tensor_count; i++) sum += read_tensor(&bundle->tensors[i]);
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        const struct lp_op *op = &bundle->ops[i];
        if (op->in_width == 0 || op->out_width == 0 || op->work < op->out_width) abort();
        if (lp_shape_count(&op->in) != op->in_width || lp_shape_count(&op->shape) != op->out_width) abort();
        for (uint32_t k = 0; k < op->input_count; k++)
            if (op->inputs[k] > i) abort();
        if (op->kind == LP_OP_DENSE && op->weight->dims[1] != op->shape.dims[op->shape.rank - 1]) abort();
    }
    if (bundle->ops[bundle->op_count - 1].out_width != bundle->output_count) abort();
    for (uint32_t i = 0; i < bundle->golden_count; i++) {
        sum += (double)strlen(bundle->golden[i].record);
        for (uint32_t j = 0; j < bundle->output_count; j++)
            sum += bundle->golden[i].margin[j] + bundle->golden[i].score[j];
    }
    for (uint32_t i = 0; i < bundle->label_count; i++) sum += (double)strlen(bundle->labels[i]);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *wrapped = NULL;
    if (size > 0 && data[0] == '{') {
        wrapped = wrap_manifest(data, size, &size);
        if (wrapped == NULL) return 0;
        data = wrapped;
    }
    struct lp_bundle *bundle;
    struct lp_error err;
    if (lp_bundle_parse(lp_span_of(data, size), &bundle, &err) == LP_OK) {
        volatile double sink = read_all(bundle);
        (void)sink;
        lp_bundle_free(bundle);
    } else if (err.text[0] == '\0') {
        abort();
    }
    free(wrapped);
    return 0;
}
