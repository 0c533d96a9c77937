#include "import/import.h"

#include "import/onnx/recognize.h"

#include <string.h>

enum kind { KIND_JSON, KIND_UBJSON, KIND_LIGHTGBM, KIND_ONNX };

static bool begins_with(struct lp_span bytes, const char *text)
{
    return bytes.size >= strlen(text) && memcmp(bytes.data, text, strlen(text)) == 0;
}

/* An object begins both of XGBoost's formats: behind the brace UBJSON has the type of a length. */
static enum lp_code recognize(struct lp_span bytes, enum kind *ret_kind, struct lp_error *err)
{
    size_t at = 0;
    while (at < bytes.size && strchr(" \t\r\n", bytes.data[at]) != NULL && bytes.data[at] != '\0') at++;
    if (begins_with(bytes, "tree\n") || begins_with(bytes, "tree\r\n")) {
        *ret_kind = KIND_LIGHTGBM;
        return LP_OK;
    }
    if (at < bytes.size && bytes.data[at] == '{') {
        unsigned char next = at + 1 < bytes.size ? bytes.data[at + 1] : '"';
        *ret_kind = next != '\0' && strchr("iUIlL$#N", next) != NULL ? KIND_UBJSON : KIND_JSON;
        return LP_OK;
    }
    if (begins_with(bytes, "binf") || begins_with(bytes, "bs64"))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "XGBoost's old binary format: load it with XGBoost below 3 and save_model as .json or .ubj");
    if (at < bytes.size && bytes.data[at] == '[')
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "what XGBoost's dump_model wrote: it cannot be loaded back; use save_model");
    if (lp_onnx_recognize(bytes)) {
        *ret_kind = KIND_ONNX;
        return LP_OK;
    }
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                   "neither XGBoost's JSON or UBJSON, nor LightGBM's text, nor ONNX: these can be imported");
}

enum lp_code lp_import_read(struct lp_span bytes, const struct lp_import_options *options, struct lp_draft *ret_draft,
                            struct lp_error *err)
{
    enum kind kind;
    LP_TRY(recognize(bytes, &kind, err));
    if (kind != KIND_ONNX && options != NULL && options->onnxruntime)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "ONNX Runtime runs ONNX models only");
    struct lp_draft draft;
    lp_draft_init(&draft, bytes.size);
    enum lp_code rc = kind == KIND_ONNX       ? lp_import_onnx(bytes, options, &draft, err)
                      : kind == KIND_LIGHTGBM ? lp_import_lightgbm(bytes, &draft, err)
                                              : lp_import_xgboost(bytes, kind == KIND_UBJSON, options, &draft, err);
    if (rc == LP_OK) *ret_draft = draft;
    else lp_draft_done(&draft);
    return rc;
}
