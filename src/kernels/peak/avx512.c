#include "kernels/peak/lanes.inc"

const struct lp_peak_kernel lp_peak_avx512 = {"avx512", fma_rounds, read_lines, NULL};
