#include "kernels/norm/lanes.inc"

const struct lp_norm_kernel lp_norm_f32_neon = {"neon", run};
