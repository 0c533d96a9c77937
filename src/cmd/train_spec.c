#include "cmd/train_spec.h"

#include "data/bytes.h"
#include "model/digest.h"

#include <fcntl.h>
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

enum lp_code lp_train_spec(const struct lp_job_request *job, const char *path, json_t **ret_spec, struct lp_error *err)
{
    if (path != NULL) return read_spec(path, ret_spec, err);
    (void)job;
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "--spec FILE is missing");
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
