#include "kernels/peak/lanes.inc"

const struct lp_peak_kernel lp_peak_avx2 = {"avx2", fma_rounds, read_lines, NULL};
