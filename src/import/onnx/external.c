/*
 * Tensors in files beside the model. Only regular files in the model's folder or below it are read: no absolute path,
 * no `..`, no link at any step, no device.
 */
#include "import/onnx/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, DIGITS_MAX = 20 };

static const char *entry(const Onnx__Tensor *proto, const char *key)
{
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntry *one = proto->external_data[i];
        if (one->key != NULL && strcmp(one->key, key) == 0) return one->value != NULL ? one->value : "";
    }
    return NULL;
}

static enum lp_code read_size(const Onnx__Tensor *proto, const char *key, uint64_t otherwise, uint64_t *ret_size,
                              struct lp_error *err)
{
    const char *text = entry(proto, key);
    uint64_t size = 0;
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9' || i == DIGITS_MAX || __builtin_mul_overflow(size, 10u, &size) ||
            __builtin_add_overflow(size, (uint64_t)(text[i] - '0'), &size))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "external data: `%s` %.40s is not a size", key, text);
    }
    *ret_size = text != NULL && text[0] != '\0' ? size : otherwise;
    return LP_OK;
}

/* One step of the path after another, no link followed. */
static enum lp_code open_below(const char *folder, const char *location, int *ret_fd, struct lp_error *err)
{
    char path[PATH_BYTES];
    size_t size = strlen(location);
    if (size == 0 || size >= sizeof path || location[0] == '/' || location[size - 1] == '/')
        return lp_fail(err, LP_E_REFUSED, LP_FATAL, "external data `%.64s`: not a path below the model's folder",
                       location);
    memcpy(path, location, size + 1);
    int at = open(folder[0] != '\0' ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *rest = path;
    for (char *step = strsep(&rest, "/"); at >= 0 && step != NULL; step = strsep(&rest, "/")) {
        if (strcmp(step, "..") == 0) {
            close(at);
            return lp_fail(err, LP_E_REFUSED, LP_FATAL, "external data `%.64s`: `..` leads out of the model's folder",
                           location);
        }
        int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (rest != NULL ? O_DIRECTORY : 0);
        int next = step[0] != '\0' ? openat(at, step, flags) : dup(at);
        int why = errno;
        close(at);
        at = next;
        errno = why;
    }
    if (at < 0 && errno == ELOOP)
        return lp_fail(err, LP_E_REFUSED, LP_FATAL, "external data `%.64s`: links are not followed", location);
    if (at < 0)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "external data `%.64s`: %s", location,
                       strerror(errno));
    *ret_fd = at;
    return LP_OK;
}

static enum lp_code read_range(struct lp_onnx *onnx, int fd, uint64_t offset, size_t bytes, void **ret_data,
                               struct lp_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return lp_fail(err, LP_E_REFUSED, LP_FATAL, "external data: not a regular file");
    uint64_t size = (uint64_t)info.st_size;
    if (offset > size || bytes > size - offset)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "external data: bytes %llu to %llu of a file of %llu",
                       (unsigned long long)offset, (unsigned long long)(offset + bytes), (unsigned long long)size);
    /* What is computed of these bytes may take as much memory as what is computed of the model's own. */
    onnx->draft->storage.budget += (uint64_t)LP_DRAFT_STORAGE_FACTOR * bytes;
    unsigned char *data = lp_onnx_take(onnx, bytes, 1, err);
    if (data == NULL) return lp_failed(err->code);
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(fd, data + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return lp_fail(err, LP_E_IO, LP_FATAL, "external data: %s", got < 0 ? strerror(errno) : "it got shorter");
        done += (size_t)got;
    }
    *ret_data = data;
    return LP_OK;
}

enum lp_code lp_onnx_external_read(struct lp_onnx *onnx, const Onnx__Tensor *proto, size_t bytes, void **ret_data,
                                   struct lp_error *err)
{
    uint64_t offset, length;
    int fd = -1;
    const char *location = entry(proto, "location");
    if (location == NULL) return lp_fail(err, LP_E_INVALID, LP_FATAL, "external data without `location`");
    if (onnx->options->folder == NULL)
        return lp_fail(err, LP_E_REFUSED, LP_FATAL, "external data `%.64s`: the model was not read from a folder",
                       location);
    LP_TRY(read_size(proto, "offset", 0, &offset, err));
    LP_TRY(read_size(proto, "length", bytes, &length, err));
    if (length != bytes)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "external data: %llu bytes, its shape says %zu",
                       (unsigned long long)length, bytes);
    LP_TRY(open_below(onnx->options->folder, location, &fd, err));
    enum lp_code rc = read_range(onnx, fd, offset, bytes, ret_data, err);
    close(fd);
    return rc;
}
