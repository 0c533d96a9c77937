#include "kernels/activation/lanes.inc"

KERNEL(neon);
