#include "kernels/binary/lanes.inc"

KERNEL(neon);
