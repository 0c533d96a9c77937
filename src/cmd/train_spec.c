#include "cmd/train_spec.h"

#include "cmd/terminal.h"
#include "data/bytes.h"
#include "fit/fit.h"
#include "model/digest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPEC_MAX_BYTES = 100 << 20 };

static enum lp_code read_spec(const char *path, json_t **ret_spec, struct lp_error *err)
{
    struct lp_bytes bytes = {.file = -1};
    json_error_t why;
    json_t *spec;
    enum lp_code rc = lp_bytes_open(&bytes, path, SPEC_MAX_BYTES, err);
    if (rc == LP_OK) rc = lp_bytes_fill(&bytes, SIZE_MAX, err);
    if (rc == LP_OK) {
        spec = json_loadb((const char *)lp_bytes_at(&bytes), lp_bytes_left(&bytes), JSON_REJECT_DUPLICATES, &why);
        if (json_is_object(spec)) *ret_spec = spec;
        else rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "line %d: not a JSON object: %s", why.line, why.text);
    }
    lp_bytes_close(&bytes);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", path);
}

/* What weighs, groups or orders rows is no feature unless a spec says so. */
static enum lp_code fit_spec(const struct lp_job_request *job, json_t **ret_spec, struct lp_error *err)
{
    const char *const extras[] = {job->weight, job->group, job->time};
    const char **drop = calloc((size_t)job->drop_count + 3, sizeof *drop), **hash = NULL;
    hash = calloc((size_t)job->hash_count + 1, sizeof *hash);
    struct lp_fit_options options = {
        .path = job->data, .label = job->label, .drop = drop, .hash = hash, .hash_count = job->hash_count};
    struct lp_fit *fit = NULL;
    enum lp_code rc = drop != NULL && hash != NULL ? LP_OK : lp_fail_memory(err, job->drop_count);
    for (uint32_t i = 0; rc == LP_OK && i < job->drop_count; i++) drop[options.drop_count++] = job->drop[i];
    for (size_t i = 0; rc == LP_OK && i < sizeof extras / sizeof *extras; i++)
        if (extras[i] != NULL) drop[options.drop_count++] = extras[i];
    for (uint32_t i = 0; rc == LP_OK && i < job->hash_count; i++) hash[i] = job->hash[i].name;
    if (rc == LP_OK) rc = lp_fit_run(&options, &fit, err);
    /* Training would stop at the first of them: said before the data is read once more. */
    if (rc == LP_OK && fit->rejected > 0 && !job->skip_bad)
        rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "%.380s%s (--skip-bad passes over such records)",
                     fit->examples[0].text, fit->rejected > 1 ? ", and more" : "");
    if (rc == LP_OK) rc = lp_fit_spec(fit, &options, ret_spec, err);
    for (uint32_t i = 0; rc == LP_OK && i < fit->warning_count; i++)
        lp_print_safe(stderr, "lepton: train: %s%s%s\n", fit->warnings[i].column != NULL ? fit->warnings[i].column : "",
                      fit->warnings[i].column != NULL ? ": " : "", fit->warnings[i].text);
    lp_fit_free(fit);
    free(drop);
    free(hash);
    return rc;
}

/* Fitting and training both read the data: what a pipe gave is gone behind the first. */
static bool is_read_once(const char *path)
{
    struct stat info;
    if (strcmp(path, "-") == 0) return true;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

enum lp_code lp_train_spec(const struct lp_job_request *job, const char *path, json_t **ret_spec, struct lp_error *err)
{
    if (path == NULL && is_read_once(job->data))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "%s: features are fitted before training, but this can be read only once: give --spec, made by "
                       "`lepton fit`, or a file",
                       job->data);
    return path != NULL ? read_spec(path, ret_spec, err) : fit_spec(job, ret_spec, err);
}

bool lp_train_data_sha256(const char *path, char ret_text[LP_SHA256_TEXT_BYTES])
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    bool good = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && lp_digest_file(fd, ret_text);
    close(fd);
    return good;
}
