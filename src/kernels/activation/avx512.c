#include "kernels/activation/lanes.inc"

KERNEL(avx512);
