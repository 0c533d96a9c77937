/* Engines that score the same rows of one net: lepton's plan and kernels, OpenBLAS, oneDNN, ONNX Runtime. */
#ifndef BENCH_NETWORKS_RIVALS_H
#define BENCH_NETWORKS_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAYERS_MAX = 5, ROWS_MAX = 256 };

/** A chain of dense layers, relu between them; weights [in][out] row-major. layer_count 0: another kind of net. */
struct net {
    uint32_t columns, outputs; /* of the rows and of the answers */
    uint32_t layer_count, widths[LAYERS_MAX + 1];
    const float *weights[LAYERS_MAX], *biases[LAYERS_MAX];
    float scales[LAYERS_MAX]; /* largest magnitude of each layer's input over the rows, / 127 (first), / 255 */
    const float *rows;        /* [ROWS_MAX][columns] */
    const double *double_rows;
};

struct engine {
    const char *title;
    double tolerance; /* of the largest answer, against the fp32 reference */
    void (*run)(struct engine *engine, uint32_t row_count, float *y);
    const struct net *net;
    void *state;
    double best[8], median[8]; /* ns a row at each batch size */
};

/** Add what can score this net; @return how many. The folder's files are named after the net. */
uint32_t add_lepton(const struct net *net, const char *folder, const char *name, struct engine *engines);
uint32_t add_openblas(const struct net *net, struct engine *engines);
uint32_t add_onednn(const struct net *net, struct engine *engines);
uint32_t add_onnxruntime(const struct net *net, const char *library, const char *folder, const char *name,
                         struct engine *engines);

void *take(size_t bytes); /* 64-byte aligned, zeros, never NULL, never freed */
void fail(const char *what, const char *why);

#endif
