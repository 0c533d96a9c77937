/* A feature list on its own, as `fit` writes it: {"features": [...]} as in a bundle's manifest. */
#ifndef LP_MODEL_SPEC_H
#define LP_MODEL_SPEC_H

#include "core/span.h"
#include "model/bundle.h"

/**
 * Read and check the member `features` of a JSON object; other members are passed over.
 * @param ret_bundle owned (lp_bundle_free): features, feature_count and column_count, nothing else
 * @return what lp_bundle_parse returns for features
 */
LP_MUST_USE enum lp_code lp_features_parse(struct lp_span json, struct lp_bundle **ret_bundle, struct lp_error *err);

#endif
