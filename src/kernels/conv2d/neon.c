#include "kernels/conv2d/lanes.inc"

const struct lp_conv2d_kernel lp_conv2d_f32_neon = {"neon", packed_floats, pack, scratch_bytes, run};
