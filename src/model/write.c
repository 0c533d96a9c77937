#include "model/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 8, HEADER_FIELD_BYTES = 8 };

/* Widest elements first, so that each tensor begins at a multiple of its element without holes. */
static const enum lp_dtype order[] = {LP_DTYPE_F64, LP_DTYPE_I64,  LP_DTYPE_F32, LP_DTYPE_I32,
                                      LP_DTYPE_F16, LP_DTYPE_BF16, LP_DTYPE_U8,  LP_DTYPE_I8};
enum { ORDER_COUNT = sizeof order / sizeof *order };

static void put_entry(struct lp_buffer *out, const struct lp_tensor *tensor, uint64_t begin, uint64_t bytes)
{
    lp_buffer_text(out, ",");
    lp_buffer_json_string(out, lp_span_text(tensor->name));
    lp_buffer_format(out, ":{\"dtype\":\"%s\",\"shape\":[", lp_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank; i++)
        lp_buffer_format(out, "%s%llu", i > 0 ? "," : "", (unsigned long long)tensor->dims[i]);
    lp_buffer_format(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
                     (unsigned long long)(begin + bytes));
}

enum lp_code lp_bundle_encode(const char *manifest, const struct lp_tensor *tensors, uint32_t tensor_count,
                              struct lp_buffer *out, struct lp_error *err)
{
    size_t start = out->size;
    uint64_t at = 0;
    lp_buffer_append(out, "\0\0\0\0\0\0\0", HEADER_FIELD_BYTES);
    lp_buffer_text(out, "{\"__metadata__\":{\"lepton\":");
    lp_buffer_json_string(out, lp_span_text(manifest));
    lp_buffer_text(out, "}");
    for (size_t k = 0; k < ORDER_COUNT; k++)
        for (uint32_t i = 0; i < tensor_count; i++) {
            uint64_t bytes = tensors[i].count * lp_dtype_bytes(order[k]);
            if (tensors[i].dtype != order[k]) continue;
            put_entry(out, &tensors[i], at, bytes);
            at += bytes;
        }
    lp_buffer_text(out, "}");
    while (!out->failed && (out->size - start) % ALIGNMENT != 0) lp_buffer_text(out, " ");
    LP_TRY(lp_buffer_check(out, "the bundle", err));
    uint64_t header = out->size - start - HEADER_FIELD_BYTES;
    for (size_t i = 0; i < HEADER_FIELD_BYTES; i++) out->data[start + i] = (unsigned char)(header >> (8 * i));
    for (size_t k = 0; k < ORDER_COUNT; k++)
        for (uint32_t i = 0; i < tensor_count; i++)
            if (tensors[i].dtype == order[k])
                lp_buffer_append(out, tensors[i].data, tensors[i].count * lp_dtype_bytes(order[k]));
    return lp_buffer_check(out, "the bundle", err);
}

static enum lp_code write_all(int fd, struct lp_span bytes, struct lp_error *err)
{
    for (size_t done = 0; done < bytes.size;) {
        ssize_t wrote = write(fd, bytes.data + done, bytes.size - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return lp_fail(err, LP_E_IO, LP_FATAL, "cannot write it: %s", strerror(errno));
        done += (size_t)wrote;
    }
    if (fsync(fd) != 0) return lp_fail(err, LP_E_IO, LP_FATAL, "cannot sync it: %s", strerror(errno));
    return LP_OK;
}

enum lp_code lp_bundle_save(const char *path, struct lp_span bytes, struct lp_error *err)
{
    char *aside = NULL;
    int fd = -1;
    enum lp_code rc;
    if (asprintf(&aside, "%s.%ld.tmp", path, (long)getpid()) < 0) return lp_fail_memory(err, strlen(path));
    fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    rc = fd >= 0 ? write_all(fd, bytes, err) : lp_fail(err, LP_E_IO, LP_FATAL, "cannot create it: %s", strerror(errno));
    bool created = fd >= 0;
    if (created && close(fd) != 0 && rc == LP_OK)
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "cannot close it: %s", strerror(errno));
    if (rc == LP_OK && rename(aside, path) != 0)
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "cannot rename it: %s", strerror(errno));
    if (rc != LP_OK && created) unlink(aside);
    free(aside);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", path);
}
