/* Tensors of a bundle that is being written, and the ops that name them. Private to import/. */
#ifndef LP_IMPORT_ENCODE_H
#define LP_IMPORT_ENCODE_H

#include "import/draft.h"

#include <jansson.h>

/* Tensors by their names; texts of vocabularies that are too long for the manifest are among them. */
struct lp_encode {
    struct lp_tensor *items; /* grows: a feature may need two */
    size_t count, capacity;
    json_t *names;           /* keeps the names */
    struct lp_buffer *texts; /* [texts_count] bytes of vocabularies and their offsets */
    size_t texts_count;
};

/** False: no memory. `columns` 0: of rank 1. Data is borrowed. */
bool lp_encode_matrix(struct lp_encode *encode, const char *name, enum lp_dtype dtype, const void *data, uint64_t rows,
                      uint64_t columns);
bool lp_encode_tensor(struct lp_encode *encode, const char *name, const struct lp_tensor *tensor);
bool lp_encode_array(struct lp_encode *encode, const char *name, enum lp_dtype dtype, const struct lp_buffer *buffer);

/** What a trees op of a bundle needs. */
struct lp_encode_trees {
    const struct lp_forest *forest;
    enum lp_trees_compare compare;
    uint32_t output_count;
    const double *base; /* NULL: zeros */
    double divisor;
    const char *prefix; /* of the names of its tensors */
};

/** The op without its input and output; NULL without memory. */
json_t *lp_encode_trees(struct lp_encode *encode, const struct lp_encode_trees *trees);

/** The array `graph` of a manifest; NULL without memory. */
json_t *lp_encode_graph(struct lp_encode *encode, const struct lp_graph *graph);

#endif
