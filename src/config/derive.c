#include "config/storage.h"

#include "core/hex.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum {
    MIB = 1 << 20,
    LANES_MAX = 256,
    LANE_MAX_BYTES = 1 << 30,
    FETCH_MIN_BYTES = 1 * MIB,
    FETCH_MAX_BYTES = 8 * MIB, /* speed rises no further; larger queues only leave the caches */
    INFLIGHT_MIN_RECORDS = 1024,
    INFLIGHT_MAX_RECORDS = 100000,
    INFLIGHT_RECORD_BYTES = 512, /* a small prediction in the producer's queue, with its key and its ledger entry */
    MEMORY_MIN_BYTES = 32 * MIB,
};

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void derive_memory(struct lp_config *config, const struct lp_limits *limits)
{
    if (config->memory_limit_bytes > 0) return;
    const char *origin = "derived: the machine's memory is not known";
    int64_t most = config->lanes * LANE_MAX_BYTES, bytes = most / 4;
    int64_t known = limits->memory_bytes > INT64_MAX ? INT64_MAX : (int64_t)limits->memory_bytes;
    if (limits->memory_is_cgroups) {
        bytes = known / 4 * 3;
        origin = "derived: 3/4 of the cgroup's limit";
    } else if (known > 0) {
        bytes = known / 4;
        if (bytes > most) bytes = most;
        origin = "derived: no cgroup limit: 1/4 of the machine, at most 1 GiB a lane";
    }
    config->memory_limit_bytes = bytes > MEMORY_MIN_BYTES ? bytes : MEMORY_MIN_BYTES;
    lp_config_set_origin(config, "memory.limit_bytes", origin);
}

/*
 * A lane's share: a quarter for outputs in flight; 6 % as fetched bytes, which small messages swell about tenfold (one
 * librdkafka message object each: 16 MiB of 65-byte records take 204 MB), so about 60 %; the rest for arenas, the model
 * and librdkafka itself.
 */
static void derive_lanes(struct lp_config *config, const struct lp_limits *limits)
{
    if (config->lanes == 0) {
        config->lanes = clamp(limits->cpus, 1, LANES_MAX);
        bool quota = limits->quota_cpus > 0 && limits->quota_cpus == limits->cpus;
        lp_config_set_origin(config, "lanes", quota ? "derived: the cgroup's CPU quota" : "derived: the CPU affinity");
    }
    derive_memory(config, limits);
    int64_t lane_bytes = config->memory_limit_bytes / config->lanes;
    if (config->fetch_queue_bytes == 0) {
        config->fetch_queue_bytes = clamp(lane_bytes / 100 * 6, FETCH_MIN_BYTES, FETCH_MAX_BYTES);
        lp_config_set_origin(config, "fetch.queue_bytes", "derived: memory.limit_bytes and lanes");
    }
    if (config->inflight_max_records == 0) {
        int64_t records = clamp(lane_bytes / 4 / INFLIGHT_RECORD_BYTES, INFLIGHT_MIN_RECORDS, INFLIGHT_MAX_RECORDS);
        config->inflight_max_records = records < config->batch_max_rows ? config->batch_max_rows : records;
        lp_config_set_origin(config, "inflight.max_records", "derived: memory.limit_bytes and lanes");
    }
}

/* file:/a/b and file://host/a/b -> "/a", percent signs decoded (RFC 8089). */
static enum lp_code derive_root(struct lp_config *config, struct lp_error *err)
{
    if (config->model_root_path != NULL || config->model_uri == NULL) return LP_OK;
    const char *path = config->model_uri + strlen("file:");
    if (strncmp(path, "//", 2) == 0) path = strchr(path + 2, '/');
    if (path == NULL || path[0] != '/' || strlen(path) >= PATH_MAX)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "model.uri", "%s: model.uri=%.200s: write file:///path",
                             lp_config_origin(config, "model.uri"), config->model_uri);
    char folder[PATH_MAX];
    size_t used = 0;
    for (size_t i = 0; path[i] != '\0'; i++) {
        int high = path[i] == '%' ? lp_hex_digit(path[i + 1]) : -1;
        int low = high >= 0 ? lp_hex_digit(path[i + 2]) : -1;
        folder[used++] = low >= 0 ? (char)(high * 16 + low) : path[i];
        if (low >= 0) i += 2;
    }
    while (used > 1 && folder[used - 1] != '/') used--;
    if (used > 1) used--;
    config->model_root_path = lp_pool_copy(&config->storage->pool, folder, used);
    if (config->model_root_path == NULL) return lp_fail_memory(err, used);
    lp_config_set_origin(config, "model.root.path", "derived: the folder of model.uri");
    return LP_OK;
}

static enum lp_code derive_replica(struct lp_config *config, struct lp_error *err)
{
    if (config->replica_id != NULL) return LP_OK;
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') snprintf(host, sizeof host, "localhost");
    for (char *c = host; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '_' && *c != '-') *c = '-';
    bool instance = config->group_instance_id != NULL;
    config->replica_id = lp_pool_format(&config->storage->pool, "%s%s%s", host, instance ? "-" : "",
                                        instance ? config->group_instance_id : "");
    if (config->replica_id == NULL) return lp_fail_memory(err, sizeof host);
    lp_config_set_origin(config, "replica.id",
                         instance ? "derived: the host's name and group.instance.id" : "derived: the host's name");
    return LP_OK;
}

enum lp_code lp_config_derive(struct lp_config *config, const struct lp_limits *limits, struct lp_error *err)
{
    derive_lanes(config, limits);
    LP_TRY(derive_root(config, err));
    return derive_replica(config, err);
}
