#include "core/utf8.h"

bool lp_utf8_check(const unsigned char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        uint64_t word;
        if (bytes - i >= sizeof word) {
            memcpy(&word, text + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t length = lp_utf8_sequence(text + i, bytes - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

size_t lp_utf8_put(uint32_t point, unsigned char *to)
{
    if (point < 0x80) {
        to[0] = (unsigned char)point;
        return 1;
    }
    size_t tails = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char leads[4] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (unsigned char)(leads[tails] | point >> 6 * tails);
    for (size_t i = 1; i <= tails; i++) to[i] = (unsigned char)(0x80 | (point >> 6 * (tails - i) & 0x3f));
    return tails + 1;
}
