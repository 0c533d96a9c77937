/* A trained network as a bundle. */
#ifndef LP_TRAIN_EXPORT_H
#define LP_TRAIN_EXPORT_H

#include "core/buffer.h"
#include "model/bundle.h"
#include "train/net.h"

#include <jansson.h>

struct lp_export {
    const struct lp_net *net;
    const json_t *features; /* the manifest's array */
    const char *name, *version;
    enum lp_task task;
    enum lp_link link;
    const json_t *labels;      /* array of texts; NULL: none */
    double scale, shift;       /* of the margin, folded into the output layer: the label's units, Platt's a and b */
    double threshold;          /* binary */
    const json_t *training;    /* the manifest's object */
    const json_t *steps;       /* lineage: array of texts */
    const json_t *baseline;    /* of the score; NULL: none */
    const json_t *calibration; /* output.calibration; NULL: none */
    const json_t *golden;      /* NULL: none */
};

/** A network as a bundle's graph: dense ops, in front of them its tables. */
enum { LP_EXPORT_NAME_BYTES = 48 };
struct lp_export_graph {
    json_t *graph;           /* array of ops; owned */
    struct lp_tensor *items; /* [count], with names and numbers of these: */
    char (*names)[LP_EXPORT_NAME_BYTES];
    float **owned;
    uint32_t count;
};

/** @param scale, shift of the margin, folded into the output layer. LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_export_graph_init(struct lp_export_graph *ret_graph, const struct lp_net *net, double scale,
                                              double shift, struct lp_error *err);
void lp_export_graph_done(struct lp_export_graph *graph);

/** Append the bundle's bytes. LP_E_LIMIT, LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_export_encode(const struct lp_export *what, struct lp_buffer *out, struct lp_error *err);

/**
 * Golden rows of records: what this build's serving makes of them.
 *
 * @param bytes   a bundle without golden rows
 * @param records `count` JSON objects, each with a zero byte behind it
 * @param ret_golden owned; NULL when no record could be scored
 */
LP_MUST_USE enum lp_code lp_export_golden(struct lp_span bytes, const char *records, uint32_t count,
                                          json_t **ret_golden, struct lp_error *err);

/** Load, prepare and verify as a worker does. @param ret_sha256 LP_SHA256_TEXT_BYTES */
LP_MUST_USE enum lp_code lp_export_verify(struct lp_span bytes, char *ret_sha256, struct lp_error *err);

/** First weights from a bundle's tensors (layer0.weight, layer0.bias, ...), all of which must fit. */
LP_MUST_USE enum lp_code lp_export_load(const char *path, struct lp_net *net, struct lp_error *err);

#endif
