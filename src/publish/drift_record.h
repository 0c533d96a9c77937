/* Drift reports -> records of schemas/drift.avsc (Avro or JSON). */
#ifndef LP_PUBLISH_DRIFT_RECORD_H
#define LP_PUBLISH_DRIFT_RECORD_H

#include "core/buffer.h"
#include "drift/drift.h"
#include "publish/prediction.h"

/** Who reports. */
struct lp_drift_source {
    const char *slot, *replica, *version;
    uint64_t model_sha256_prefix;
};

/** schemas/drift.avsc as text, static. */
const char *lp_drift_record_schema(void);

/** Append one report; framing as in lp_encoder_run. */
void lp_drift_record_encode(enum lp_output_format format, struct lp_span framing, const struct lp_drift_source *source,
                            const struct lp_drift_report *report, struct lp_buffer *out);

#endif
