/* A model as an importer leaves it: what the bundle's writer needs, whatever the file's format. */
#ifndef LP_IMPORT_DRAFT_H
#define LP_IMPORT_DRAFT_H

#include "core/span.h"
#include "import/forest.h"
#include "import/graph.h"
#include "kernels/trees/trees.h"
#include "model/bundle.h"
#include "model/storage.h"

enum {
    LP_DRAFT_SOURCE_BYTES = 64,
    LP_DRAFT_STORAGE_FACTOR = 8 /* storage a byte of the file may take */
};

struct lp_draft_feature {
    const char *name;              /* in the draft's storage */
    uint32_t width;                /* of a vector; 0: one number or category */
    bool rejects_missing;          /* the model does not define what a missing value gives */
    bool is_text;                  /* a category, also while it has no vocabulary */
    bool is_element;               /* the name ends with [i]: it is read from there */
    uint32_t column;               /* networks: its first one, until the graph is finished */
    bool unknown_bucket;           /* a category outside the vocabulary is the next code; else it is missing */
    uint32_t vocabulary_count;     /* categories with names; 0: a number, or a category's code as one */
    const char *const *vocabulary; /* code i is text i */
};

struct lp_draft {
    struct lp_bundle_storage storage;
    char source[LP_DRAFT_SOURCE_BYTES]; /* "xgboost 3.2.0", "lightgbm v4" */
    enum lp_trees_compare compare;
    enum lp_task task;
    enum lp_link link;
    double link_scale;
    uint32_t column_count, output_count;
    uint32_t feature_count;            /* column_count where no feature is a vector */
    struct lp_draft_feature *features; /* [feature_count] */
    bool is_linear;                    /* gblinear: no forest */
    const float *weight;               /* is_linear: [column_count][output_count] */
    const float *bias;                 /* is_linear: [output_count] */
    struct lp_forest forest;
    const double *base; /* [output_count], NULL: zeros */
    double divisor;
    bool is_network; /* the graph is the model: no forest, nothing linear */
    struct lp_graph graph;
    void *kept; /* memory of the file's that the graph's tensors are in */
    void (*kept_free)(void *kept);
    uint32_t label_count; /* what the outputs of a classifier are called; 0: the file does not say */
    const char *const *labels;
    struct lp_buffer notes; /* lines for whoever imports: what is not as they may think */
};

/** What an importer may be told. */
struct lp_import_options {
    bool all_iterations; /* every tree, though the file says which iteration was the best */
    bool onnxruntime;    /* an ONNX model is to run in ONNX Runtime: it is not looked into */
    const char *folder;  /* where the files are that an ONNX model names; NULL: such a model is refused */
};

/** @param file_bytes of the model: memory is bounded by it */
void lp_draft_init(struct lp_draft *draft, size_t file_bytes);
void lp_draft_done(struct lp_draft *draft);

/** XGBoost's JSON or UBJSON, as 1.x to 3.x write it. */
LP_MUST_USE enum lp_code lp_import_xgboost(struct lp_span bytes, bool is_binary,
                                           const struct lp_import_options *options, struct lp_draft *draft,
                                           struct lp_error *err);

/** LightGBM's text, version v3 and v4. */
LP_MUST_USE enum lp_code lp_import_lightgbm(struct lp_span bytes, struct lp_draft *draft, struct lp_error *err);

/** ONNX, opsets 9 to 21. */
LP_MUST_USE enum lp_code lp_import_onnx(struct lp_span bytes, const struct lp_import_options *options,
                                        struct lp_draft *draft, struct lp_error *err);

#endif
