/* What `lepton fit` tells: a table for the terminal, JSON for programs, a page for the browser. */
#ifndef LP_CMD_FIT_REPORT_H
#define LP_CMD_FIT_REPORT_H

#include "fit/fit.h"

#include <stdio.h>

/** @param out where the spec was written; NULL: nowhere. Colours on a terminal, unless NO_COLOR is set. */
LP_MUST_USE enum lp_code lp_fit_report_text(const struct lp_fit *fit, const char *path, const char *out, FILE *to,
                                            struct lp_error *err);
/** @param spec of lp_fit_spec, becomes the member `spec`; NULL: no column is a feature */
LP_MUST_USE enum lp_code lp_fit_report_json(const struct lp_fit *fit, const json_t *spec, FILE *to,
                                            struct lp_error *err);
/** One file, nothing loaded from elsewhere: histograms are SVG in it. */
LP_MUST_USE enum lp_code lp_fit_report_html(const struct lp_fit *fit, const char *path, const char *to,
                                            struct lp_error *err);

#endif
