#include "kernels/pool/lanes.inc"

const struct lp_pool2d_kernel lp_pool2d_f32_neon = {"neon", run};
