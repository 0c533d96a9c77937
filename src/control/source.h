/* From a model URI to a verified model in memory. In this release: file: URIs under a configured root. */
#ifndef LP_CONTROL_SOURCE_H
#define LP_CONTROL_SOURCE_H

#include "control/desired.h"
#include "core/error.h"
#include "score/model.h"

enum { LP_PATH_MAX_BYTES = 4096 };

/**
 * The local path of a file: URI (file:///a/b, file:/a/b, file:a/b relative to the root; %XX decoded).
 *
 * @param root     only files in or below it pass, links resolved; NULL: any (a URI from our own configuration)
 * @param ret_path [LP_PATH_MAX_BYTES], the resolved path
 * @return LP_E_UNSUPPORTED (another scheme), LP_E_INVALID, LP_E_NOT_FOUND, LP_E_REFUSED (outside the root)
 */
LP_MUST_USE enum lp_code lp_source_uri_path(const char *uri, const char *root, char *ret_path, struct lp_error *err);

/** file:// and the absolute path, percent-encoded where RFC 3986 asks for it. LP_E_LIMIT when it is too long. */
LP_MUST_USE enum lp_code lp_source_file_uri(const char *path, char ret_uri[LP_URI_MAX_BYTES + 1], struct lp_error *err);

/**
 * Resolve, check the signature, read, compare the SHA-256, parse, verify the golden rows, warm up. Without a stated
 * SHA-256 (our own configuration's model) the signature is checked after parsing.
 *
 * @param trusted_keys_path see lp_signature_verify; NULL: signatures are not looked at
 * @return LP_OK and a model with one reference; otherwise the reason, fit for a status record
 */
LP_MUST_USE enum lp_code lp_source_load_model(const struct lp_model_source *source, const char *root,
                                              const char *trusted_keys_path, const struct lp_model_options *options,
                                              struct lp_model **ret_model, struct lp_error *err);

#endif
