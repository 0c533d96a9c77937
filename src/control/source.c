#include "control/source.h"

#include "core/hex.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3986 percent-decoding; a zero byte would cut the path and is refused. */
static enum lp_code decode_path(const char *text, char *ret_path, struct lp_error *err)
{
    size_t used = 0;
    for (; *text != '\0'; text++) {
        char c = *text;
        if (c == '%') {
            int high = lp_hex_digit(text[1]), low = high >= 0 ? lp_hex_digit(text[2]) : -1;
            if (low < 0 || (high | low) == 0)
                return lp_fail(err, LP_E_INVALID, LP_FATAL, "model URI: bad %%-escape: write it as RFC 3986 says");
            c = (char)(high << 4 | low);
            text += 2;
        }
        if (used + 1 >= LP_PATH_MAX_BYTES)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "model URI: path over %d bytes", LP_PATH_MAX_BYTES);
        ret_path[used++] = c;
    }
    ret_path[used] = '\0';
    return LP_OK;
}

static enum lp_code uri_file(const char *uri, const char *root, char *ret_path, struct lp_error *err)
{
    if (strncmp(uri, "file:", 5) != 0)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "model URI %.200s: only file: sources are in this release: mount the model as a file", uri);
    const char *rest = uri + 5;
    if (strncmp(rest, "//", 2) == 0) {
        rest += 2;
        if (strncmp(rest, "localhost/", 10) == 0) rest += 9;
        if (rest[0] != '/')
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "model URI %.200s: a host is not possible: write file:///path",
                           uri);
    }
    char decoded[LP_PATH_MAX_BYTES];
    LP_TRY(decode_path(rest, decoded, err));
    bool relative = decoded[0] != '/' && root != NULL;
    int length = snprintf(ret_path, LP_PATH_MAX_BYTES, "%s%s%s", relative ? root : "", relative ? "/" : "", decoded);
    if (length < 0 || length >= LP_PATH_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "model URI: path over %d bytes", LP_PATH_MAX_BYTES);
    return LP_OK;
}

static enum lp_code resolve(const char *path, const char *what, char *ret_path, struct lp_error *err)
{
    char *resolved = realpath(path, NULL);
    if (resolved == NULL)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "%s %.300s: %s", what, path,
                       strerror(errno));
    size_t bytes = strlen(resolved) + 1;
    if (bytes <= LP_PATH_MAX_BYTES) memcpy(ret_path, resolved, bytes);
    free(resolved);
    if (bytes <= LP_PATH_MAX_BYTES) return LP_OK;
    return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: path over %d bytes", what, LP_PATH_MAX_BYTES);
}

enum lp_code lp_source_file_uri(const char *path, char ret_uri[LP_URI_MAX_BYTES + 1], struct lp_error *err)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    size_t used = (size_t)snprintf(ret_uri, LP_URI_MAX_BYTES + 1, "file://");
    for (; *path != '\0'; path++) {
        bool escape = strchr(plain, *path) == NULL;
        if (used + 3 > LP_URI_MAX_BYTES)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "model path: its URI is over %d bytes", LP_URI_MAX_BYTES);
        if (escape) used += (size_t)snprintf(ret_uri + used, 4, "%%%02X", (unsigned char)*path);
        else ret_uri[used++] = *path;
    }
    ret_uri[used] = '\0';
    return LP_OK;
}

/* `path` in or below `root`, both without links and dots? */
static bool is_below(const char *path, const char *root)
{
    size_t length = strlen(root);
    while (length > 0 && root[length - 1] == '/') length--;
    return strncmp(path, root, length) == 0 && path[length] == '/';
}

/*
 * Is what `path` leads to inside? A path that leads nowhere is judged by the deepest part of it that exists, so that an
 * answer never tells what lies beyond the root. Writes `path`.
 */
static bool leads_below(char *path, const char *real_root)
{
    for (;;) {
        char *resolved = realpath(path, NULL);
        bool exists = resolved != NULL;
        /* The root itself counts here: a missing file right in it has nothing else that exists. */
        bool inside = exists && (is_below(resolved, real_root) || strcmp(resolved, real_root) == 0);
        free(resolved);
        if (exists) return inside;
        char *slash = strrchr(path, '/');
        if (slash == NULL || (slash == path && slash[1] == '\0')) return false;
        slash[slash == path] = '\0'; /* the first slash stays */
    }
}

enum lp_code lp_source_uri_path(const char *uri, const char *root, char *ret_path, struct lp_error *err)
{
    char file[LP_PATH_MAX_BYTES], real[LP_PATH_MAX_BYTES], real_root[LP_PATH_MAX_BYTES];
    LP_TRY(uri_file(uri, root, file, err));
    if (root != NULL) LP_TRY(resolve(root, "model.root.path", real_root, err));
    enum lp_code rc = resolve(file, "model file", real, err);
    bool inside = root == NULL || (rc == LP_OK ? is_below(real, real_root) : leads_below(file, real_root));
    if (!inside)
        return lp_fail(err, LP_E_REFUSED, LP_FATAL, "model URI %.200s: outside model.root.path = %.200s", uri, root);
    LP_TRY(rc);
    memcpy(ret_path, real, strlen(real) + 1);
    return LP_OK;
}

enum lp_code lp_source_load_model(const struct lp_model_source *source, const char *root, const char *trusted_keys_path,
                                  const struct lp_model_options *options, struct lp_model **ret_model,
                                  struct lp_error *err)
{
    char path[LP_PATH_MAX_BYTES], got[LP_SHA256_TEXT_BYTES];
    bool stated = source->sha256[0] != '\0';
    LP_TRY(lp_source_uri_path(source->uri, root, path, err));
    /* Where the hash is known: before the file is opened, and of the file only its bytes' hash is looked at before it
     * is that one. So the parser never sees what nobody vouched for. */
    if (trusted_keys_path != NULL && stated)
        LP_TRY(lp_signature_verify(trusted_keys_path, source->sha256, source->signature, err));
    struct lp_model *model = NULL;
    struct lp_model_options exactly = *options;
    exactly.sha256 = stated ? source->sha256 : NULL;
    LP_TRY(lp_model_load(path, &exactly, &model, err));
    lp_sha256_text(model->bundle->sha256, got);
    enum lp_code rc = LP_OK;
    if (trusted_keys_path != NULL && !stated) rc = lp_signature_verify(trusted_keys_path, got, source->signature, err);
    if (rc == LP_OK) rc = lp_model_verify(model, err);
    if (rc != LP_OK) {
        lp_model_unref(model);
        return rc;
    }
    *ret_model = model;
    return LP_OK;
}
