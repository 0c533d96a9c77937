#include "data/input.h"

#include "data/data.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static enum lp_code add(struct lp_inputs *inputs, char *path, struct lp_error *err)
{
    if (path == NULL) return lp_fail_memory(err, 256);
    char **grown = realloc(inputs->paths, (inputs->count + 1) * sizeof *grown);
    if (grown == NULL || inputs->count >= LP_DATA_FILES_MAX) {
        if (grown != NULL) inputs->paths = grown;
        free(path);
        return grown == NULL ? lp_fail_memory(err, (inputs->count + 1) * sizeof *grown)
                             : lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d files", LP_DATA_FILES_MAX);
    }
    inputs->paths = grown;
    inputs->paths[inputs->count++] = path;
    return LP_OK;
}

/* Regular files that are not empty, and not those that tools leave beside the data: _SUCCESS, .part.crc. */
static enum lp_code add_entry(struct lp_inputs *inputs, const char *folder, const char *name, struct lp_error *err)
{
    struct stat info;
    char *path = NULL;
    if (name[0] == '.' || name[0] == '_') return LP_OK;
    if (asprintf(&path, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name) < 0)
        return lp_fail_memory(err, 256);
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
        free(path);
        return LP_OK;
    }
    inputs->total_bytes += (uint64_t)info.st_size;
    return add(inputs, path, err);
}

static enum lp_code read_folder(struct lp_inputs *inputs, const char *path, struct lp_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL) return lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot be read: %s", path, strerror(errno));
    enum lp_code rc = LP_OK;
    for (struct dirent *entry; rc == LP_OK && (entry = readdir(folder)) != NULL;)
        rc = add_entry(inputs, path, entry->d_name, err);
    closedir(folder);
    if (rc != LP_OK) return lp_error_wrap(err, "%s", path);
    if (inputs->count == 0) return lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "%s: a directory without data", path);
    qsort(inputs->paths, inputs->count, sizeof *inputs->paths, by_name);
    inputs->seekable = true;
    return LP_OK;
}

enum lp_code lp_inputs_find(const char *path, struct lp_inputs *ret_inputs, struct lp_error *err)
{
    struct lp_inputs inputs = {0};
    struct stat info;
    bool known = strcmp(path, "-") != 0 && stat(path, &info) == 0;
    enum lp_code rc;
    if (known && S_ISDIR(info.st_mode)) {
        rc = read_folder(&inputs, path, err);
    } else {
        inputs.seekable = known && S_ISREG(info.st_mode);
        if (inputs.seekable) inputs.total_bytes = (uint64_t)info.st_size;
        rc = add(&inputs, strdup(path), err);
    }
    if (rc != LP_OK) {
        lp_inputs_done(&inputs);
        return rc;
    }
    *ret_inputs = inputs;
    return LP_OK;
}

void lp_inputs_done(struct lp_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++) free(inputs->paths[i]);
    free(inputs->paths);
    *inputs = (struct lp_inputs){0};
}
