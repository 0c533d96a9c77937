/* The tile instructions that lepton uses, in C, after their descriptions in Intel's manual; 16 rows of 64 bytes each.
 */
#ifndef TESTS_KERNELS_AMX_EMULATED_H
#define TESTS_KERNELS_AMX_EMULATED_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned char rows[16][64];
} emulated_tiles[8];
static int emulated_configured;

/* Palette 1, every tile as large as it can be: anything else is not what these functions compute. */
static inline void emulated_loadconfig(const void *config)
{
    const unsigned char *bytes = config;
    emulated_configured = bytes[0] == 1 && bytes[1] == 0;
    for (int t = 0; t < 8; t++) {
        uint16_t row_bytes;
        memcpy(&row_bytes, bytes + 16 + 2 * t, sizeof row_bytes);
        emulated_configured = emulated_configured && row_bytes == 64 && bytes[48 + t] == 16;
    }
}

static inline void emulated_need_config(void)
{
    if (!emulated_configured) abort(); /* an invalid opcode */
}

static inline void emulated_zero(int tile)
{
    emulated_need_config();
    memset(&emulated_tiles[tile], 0, sizeof emulated_tiles[tile]);
}

static inline void emulated_loadd(int tile, const void *base, size_t stride)
{
    emulated_need_config();
    for (size_t r = 0; r < 16; r++) memcpy(emulated_tiles[tile].rows[r], (const unsigned char *)base + r * stride, 64);
}

static inline void emulated_stored(int tile, void *base, size_t stride)
{
    emulated_need_config();
    for (size_t r = 0; r < 16; r++) memcpy((unsigned char *)base + r * stride, emulated_tiles[tile].rows[r], 64);
}

/* TDPBUSD: u8 of the first, s8 of the second, in fours, to int32. */
static inline void emulated_dpbusd(int to, int a, int b)
{
    emulated_need_config();
    for (int m = 0; m < 16; m++) {
        for (int n = 0; n < 16; n++) {
            int32_t sum;
            memcpy(&sum, &emulated_tiles[to].rows[m][4 * n], sizeof sum);
            for (int k = 0; k < 64; k++)
                sum += emulated_tiles[a].rows[m][k] * (int8_t)emulated_tiles[b].rows[k / 4][4 * n + k % 4];
            memcpy(&emulated_tiles[to].rows[m][4 * n], &sum, sizeof sum);
        }
    }
}

static inline float emulated_bf16(const unsigned char *at)
{
    uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* TDPBF16PS: pairs of bf16 to float. */
static inline void emulated_dpbf16ps(int to, int a, int b)
{
    emulated_need_config();
    for (int m = 0; m < 16; m++) {
        for (int n = 0; n < 16; n++) {
            float sum;
            memcpy(&sum, &emulated_tiles[to].rows[m][4 * n], sizeof sum);
            for (int k = 0; k < 32; k++)
                sum += emulated_bf16(&emulated_tiles[a].rows[m][2 * k]) *
                       emulated_bf16(&emulated_tiles[b].rows[k / 2][4 * n + 2 * (k % 2)]);
            memcpy(&emulated_tiles[to].rows[m][4 * n], &sum, sizeof sum);
        }
    }
}

static inline void emulated_release(void) { emulated_configured = 0; }

#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbf16ps
#define _tile_loadconfig emulated_loadconfig
#define _tile_release emulated_release
#define _tile_zero emulated_zero
#define _tile_loadd emulated_loadd
#define _tile_stored emulated_stored
#define _tile_dpbusd emulated_dpbusd
#define _tile_dpbf16ps emulated_dpbf16ps

/* One file uses the int8 product, another the bf16 one. */
static inline void emulated_all_used(void)
{
    (void)emulated_dpbusd;
    (void)emulated_dpbf16ps;
}

#endif
