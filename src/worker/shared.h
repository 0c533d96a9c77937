/* What all lanes share: made at start, immutable while they run (the registry and the slot guard themselves). */
#ifndef LP_WORKER_SHARED_H
#define LP_WORKER_SHARED_H

#include "config/config.h"
#include "drift/drift.h"
#include "kafka/conf.h"
#include "publish/prediction.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_registry;
struct lp_avro_schema;

enum { LP_FRAMING_MAX_BYTES = 9, LP_WRITERS_MAX = 64 };

struct lp_shared {
    const struct lp_config *config;
    struct lp_kafka_conf kafka;
    struct lp_registry *registry; /* NULL: none configured */
    struct lp_avro_schema *writers[LP_WRITERS_MAX];
    uint32_t writer_count;
    struct lp_avro_schema *reader; /* NULL: each writer's own */
    struct lp_encoder *encoder;
    unsigned char framing[LP_FRAMING_MAX_BYTES];
    uint32_t framing_bytes; /* 0: predictions are not framed */
    unsigned char drift_framing[LP_FRAMING_MAX_BYTES];
    uint32_t drift_framing_bytes; /* 0: drift records are JSON */
    size_t producer_queue_bytes;  /* a lane */
    struct lp_drift_options drift;
    uint32_t lane_count;
    bool keep_partition; /* predictions keep the input's partition number */
    uint32_t dead_letter_partitions;
    char replica[256];
};

#endif
