#include "model/bundle.h"

#include "model/manifest.h"
#include "model/safetensors.h"
#include "model/spec.h"
#include "model/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a manifest may take: honest ones stay under some six times the file. */
enum { BUDGET_BYTES = 1 << 20, BUDGET_FILE_FACTOR = 16 };

/* Bundle and storage are one allocation. */
struct owned {
    struct lp_bundle bundle;
    struct lp_bundle_storage storage;
};

void lp_sha256_text(const unsigned char sha256[LP_SHA256_BYTES], char ret_text[LP_SHA256_TEXT_BYTES])
{
    for (int i = 0; i < LP_SHA256_BYTES; i++) snprintf(ret_text + 2 * i, 3, "%02x", sha256[i]);
}

/* The hash comes first: what is not the file that is wanted reaches no parser. */
static enum lp_code parse_into(struct lp_bundle *bundle, struct lp_span bytes, const char *sha256, struct lp_error *err)
{
    struct lp_span manifest;
    unsigned int size = 0;
    char got[LP_SHA256_TEXT_BYTES];
    if (EVP_Digest(bytes.data, bytes.size, bundle->sha256, &size, EVP_sha256(), NULL) != 1 || size != LP_SHA256_BYTES)
        return lp_fail(err, LP_E_IO, LP_FATAL, "libcrypto has no SHA-256: check its configuration");
    lp_sha256_text(bundle->sha256, got);
    if (sha256 != NULL && strcmp(sha256, got) != 0)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "SHA-256 is %s, wanted %.64s: the file is not the one deployed",
                       got, sha256);
    bundle->file_bytes = bytes.size;
    LP_TRY(lp_safetensors_parse(bundle, bytes, &manifest, err));
    bundle->manifest_json = (const char *)manifest.data;
    return lp_manifest_read(bundle, manifest, err);
}

static struct lp_bundle *new_bundle(size_t file_bytes)
{
    struct owned *owned = calloc(1, sizeof *owned);
    if (owned == NULL) return NULL;
    owned->bundle.storage = &owned->storage;
    owned->storage.bytes = sizeof *owned;
    owned->storage.budget = BUDGET_BYTES + (uint64_t)BUDGET_FILE_FACTOR * file_bytes;
    return &owned->bundle;
}

static enum lp_code parse(struct lp_span bytes, const char *sha256, struct lp_bundle **ret_bundle, struct lp_error *err)
{
    struct lp_bundle *bundle = new_bundle(bytes.size);
    if (bundle == NULL) return lp_fail_memory(err, sizeof(struct owned));
    enum lp_code rc = parse_into(bundle, bytes, sha256, err);
    if (rc == LP_OK) *ret_bundle = bundle;
    else lp_bundle_free(bundle);
    return rc;
}

enum lp_code lp_features_parse(struct lp_span json, struct lp_bundle **ret_bundle, struct lp_error *err)
{
    struct lp_node node;
    json_t *root = NULL;
    struct lp_bundle *bundle = new_bundle(json.size);
    enum lp_code rc = bundle != NULL ? LP_OK : lp_fail_memory(err, sizeof(struct owned));
    if (rc == LP_OK) rc = lp_node_parse(json, "features", &root, err);
    if (rc == LP_OK) rc = lp_node_init(&node, root, NULL, err, "features");
    if (rc == LP_OK) rc = lp_features_read(bundle, &node, err);
    json_decref(root);
    if (rc == LP_OK) *ret_bundle = bundle;
    else lp_bundle_free(bundle);
    return rc;
}

enum lp_code lp_bundle_parse(struct lp_span bytes, struct lp_bundle **ret_bundle, struct lp_error *err)
{
    return parse(bytes, NULL, ret_bundle, err);
}

void lp_bundle_free(struct lp_bundle *bundle)
{
    if (bundle == NULL) return;
    lp_storage_done(bundle->storage);
    free(bundle);
}

static enum lp_code open_file(const char *path, uint64_t max_bytes, int *ret_fd, size_t *ret_size, struct lp_error *err)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "cannot open it: %s",
                       strerror(errno));
    struct stat info;
    enum lp_code rc = LP_OK;
    if (fstat(fd, &info) != 0) rc = lp_fail(err, LP_E_IO, LP_FATAL, "cannot stat it: %s", strerror(errno));
    else if (!S_ISREG(info.st_mode)) rc = LP_BAD(err, "is not a regular file");
    else if ((uint64_t)info.st_size > max_bytes || (uint64_t)info.st_size > SIZE_MAX)
        rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "has %lld bytes, at most %llu are read", (long long)info.st_size,
                     (unsigned long long)max_bytes);
    if (rc != LP_OK) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    *ret_size = (size_t)info.st_size;
    return LP_OK;
}

static enum lp_code read_file(int fd, unsigned char *bytes, size_t size, struct lp_error *err)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = read(fd, bytes + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return lp_fail(err, LP_E_IO, LP_RETRY, "cannot read it: %s", strerror(errno));
        if (got == 0) return lp_fail(err, LP_E_IO, LP_RETRY, "shrank while it was read: write it aside and rename it");
        have += (size_t)got;
    }
    return LP_OK;
}

enum lp_code lp_bundle_load(const char *path, uint64_t max_bytes, struct lp_bundle **ret_bundle, struct lp_error *err)
{
    return lp_bundle_load_exactly(path, max_bytes, NULL, ret_bundle, err);
}

enum lp_code lp_bundle_load_exactly(const char *path, uint64_t max_bytes, const char *sha256,
                                    struct lp_bundle **ret_bundle, struct lp_error *err)
{
    int fd = -1;
    size_t size = 0;
    unsigned char *bytes = NULL;
    enum lp_code rc;
    LP_GUARD(open_file(path, max_bytes, &fd, &size, err));
    bytes = malloc(size > 0 ? size : 1);
    rc = bytes != NULL ? read_file(fd, bytes, size, err) : lp_fail_memory(err, size);
    if (rc == LP_OK) rc = parse(lp_span_of(bytes, size), sha256, ret_bundle, err);
out:
    free(bytes);
    if (fd >= 0) close(fd);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", path);
}

static int compare_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct lp_tensor *)tensor)->name);
}

const struct lp_tensor *lp_bundle_tensor(const struct lp_bundle *bundle, const char *name)
{
    if (bundle->tensor_count == 0) return NULL;
    return bsearch(name, bundle->tensors, bundle->tensor_count, sizeof *bundle->tensors, compare_name);
}

uint64_t lp_bundle_heap_bytes(const struct lp_bundle *bundle) { return bundle->storage->bytes; }
