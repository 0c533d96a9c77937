#include "kernels/matmul/lanes.inc"

const struct lp_matmul_kernel lp_matmul_f32_neon = {"neon", run};
