/* The parts of `lepton check`: private to cmd/check*.c. */
#ifndef LP_CMD_CHECK_H
#define LP_CMD_CHECK_H

#include "cmd/findings.h"
#include "config/config.h"
#include "decode/avro.h"
#include "score/model.h"

/** Identity, golden rows; the caller has loaded it. */
void lp_check_model(const struct lp_model *model, struct lp_findings *findings);

/** Every feature against a writer's schema (and the reader's, NULL: none): what cannot be read, one line each. */
void lp_check_features(const struct lp_model *model, const struct lp_avro_schema *writer,
                       const struct lp_avro_schema *reader, const char *schema_name, struct lp_findings *findings);

/** What a validated configuration refers to, as far as it can be seen without a broker. */
void lp_check_config(const struct lp_config *config, struct lp_findings *findings);

#endif
