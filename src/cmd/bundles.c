#include "cmd/bundles.h"

#include "infer/infer.h"

#include <stdio.h>
#include <string.h>

bool lp_bundles_looks_like(const char *path)
{
    static const char extension[] = ".safetensors";
    size_t length = strlen(path), tail = sizeof extension - 1;
    if (length > tail && strcmp(path + length - tail, extension) == 0) return true;
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    /* Eight bytes of header length, little-endian, then the header's brace: a text file has no zero bytes there. */
    unsigned char head[9];
    bool whole = fread(head, 1, sizeof head, file) == sizeof head;
    fclose(file);
    return whole && head[5] == 0 && head[6] == 0 && head[7] == 0 && head[8] == '{';
}

enum lp_code lp_bundles_load(const char *path, struct lp_model **ret_model, struct lp_error *err)
{
    const struct lp_model_options options = {.bundle_max_bytes = LP_BUNDLES_MAX_BYTES};
    LP_TRY(lp_infer_setup(err));
    return lp_model_load(path, &options, ret_model, err);
}

enum lp_code lp_bundles_open(const char *path, struct lp_model **ret_model, struct lp_error *err)
{
    struct lp_model *model = NULL;
    LP_TRY(lp_bundles_load(path, &model, err));
    enum lp_code rc = lp_model_verify(model, err);
    if (rc != LP_OK) {
        lp_model_unref(model);
        return lp_error_wrap(err, "%s", path);
    }
    *ret_model = model;
    return LP_OK;
}
