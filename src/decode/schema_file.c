#include "decode/avro.h"
#include "decode/decoder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static enum lp_code read_bytes(FILE *file, const char *path, unsigned char *bytes, size_t *ret_size,
                               struct lp_error *err)
{
    size_t size = fread(bytes, 1, LP_AVRO_SCHEMA_MAX_BYTES + 1, file);
    if (ferror(file))
        return lp_fail(err, LP_E_IO, LP_FATAL, "schema file %s: cannot be read: %s", path, strerror(errno));
    if (size > LP_AVRO_SCHEMA_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "schema file %s: larger than %d bytes: is it a schema?", path,
                       LP_AVRO_SCHEMA_MAX_BYTES);
    *ret_size = size;
    return LP_OK;
}

enum lp_code lp_schema_load_file(const char *path, struct lp_avro_schema **ret_schema, struct lp_error *err)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL,
                       "schema file %s: cannot be opened: %s: correct its path", path, strerror(errno));
    enum lp_code rc;
    size_t size = 0;
    unsigned char *bytes = malloc(LP_AVRO_SCHEMA_MAX_BYTES + 1);
    if (bytes == NULL) {
        rc = lp_fail_memory(err, LP_AVRO_SCHEMA_MAX_BYTES + 1);
        goto out;
    }
    LP_GUARD(read_bytes(file, path, bytes, &size, err));
    rc = lp_avro_schema_parse(lp_span_of(bytes, size), ret_schema, err);
    if (rc != LP_OK) {
        err->action = LP_FATAL;
        lp_error_wrap(err, "schema file %s", path);
    }
out:
    free(bytes);
    fclose(file);
    return rc;
}
