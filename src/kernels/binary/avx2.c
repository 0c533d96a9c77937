#include "kernels/binary/lanes.inc"

KERNEL(avx2);
