#include "kernels/embedding/lanes.inc"

const struct lp_embedding_kernel lp_embedding_neon = {"neon", run};
