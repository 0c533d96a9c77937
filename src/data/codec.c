/* The codecs of Avro containers (Avro 1.12 specification, "Required Codecs" and "Optional Codecs"). */
#include "data/private.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum { CHECKSUM_BYTES = 4 };

static const char too_large[] = "inflates to more than 64 MiB";

/* Raw deflate (RFC 1951). */
static enum lp_code decode_deflate(struct lp_span stored, struct lp_buffer *out, const char **ret_what,
                                   struct lp_error *err)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)stored.data, .avail_in = (uInt)stored.size};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return lp_fail_memory(err, 1 << 16);
    int result = Z_OK;
    while (result == Z_OK) {
        unsigned char chunk[16384];
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        result = inflate(&stream, Z_NO_FLUSH);
        lp_buffer_append(out, chunk, sizeof chunk - stream.avail_out);
        if (out->failed) break;
    }
    inflateEnd(&stream);
    /* fastavro leaves three bytes of zlib's checksum behind the data. */
    if (out->failed) *ret_what = too_large;
    else if (result != Z_STREAM_END || stream.avail_in > CHECKSUM_BYTES) *ret_what = "the deflated data is damaged";
    return LP_OK;
}

/* Snappy's block format and the big-endian CRC-32 of what it holds. */
static enum lp_code decode_snappy(struct lp_span stored, struct lp_buffer *out, const char **ret_what)
{
    size_t bytes;
    *ret_what = "the snappy data is damaged";
    if (stored.size < CHECKSUM_BYTES) return LP_OK;
    const char *from = (const char *)stored.data;
    size_t from_bytes = stored.size - CHECKSUM_BYTES;
    if (snappy_uncompressed_length(from, from_bytes, &bytes) != SNAPPY_OK) return LP_OK;
    if (bytes > out->max) {
        *ret_what = too_large;
        return LP_OK;
    }
    /* One byte more, so that an empty block has an address. */
    unsigned char *to = lp_buffer_reserve(out, bytes + 1 <= out->max ? bytes + 1 : bytes);
    if (to == NULL || snappy_uncompress(from, from_bytes, (char *)to, &bytes) != SNAPPY_OK) return LP_OK;
    const unsigned char *sum = stored.data + from_bytes;
    uint32_t expected = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
    if (crc32(crc32(0, NULL, 0), to, (uInt)bytes) != expected) {
        *ret_what = "its checksum is not that of its data: the file is damaged";
        return LP_OK;
    }
    out->size += bytes;
    *ret_what = NULL;
    return LP_OK;
}

/* One or several frames, whose sizes need not be written in them. */
static enum lp_code decode_zstandard(struct lp_span stored, struct lp_buffer *out, const char **ret_what,
                                     struct lp_error *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (stream == NULL) return lp_fail_memory(err, 1 << 16);
    ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 26);
    ZSTD_inBuffer in = {stored.data, stored.size, 0};
    size_t left = 1;
    for (;;) {
        unsigned char chunk[16384];
        ZSTD_outBuffer to = {chunk, sizeof chunk, 0};
        left = ZSTD_decompressStream(stream, &to, &in);
        if (ZSTD_isError(left)) break;
        lp_buffer_append(out, chunk, to.pos);
        if (out->failed || (in.pos == in.size && to.pos < to.size)) break;
    }
    ZSTD_freeDStream(stream);
    if (out->failed) *ret_what = too_large;
    else if (left != 0) *ret_what = "the zstandard data is damaged";
    return LP_OK;
}

enum lp_code lp_codec_decode(enum lp_codec codec, struct lp_span stored, struct lp_buffer *out, const char **ret_what,
                             struct lp_error *err)
{
    *ret_what = NULL;
    lp_buffer_clear(out);
    switch (codec) {
    case LP_CODEC_NULL: break;
    case LP_CODEC_DEFLATE: return decode_deflate(stored, out, ret_what, err);
    case LP_CODEC_SNAPPY: return decode_snappy(stored, out, ret_what);
    case LP_CODEC_ZSTANDARD: return decode_zstandard(stored, out, ret_what, err);
    }
    lp_buffer_append(out, stored.data, stored.size);
    return LP_OK;
}
