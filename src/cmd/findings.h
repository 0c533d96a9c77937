/* Lines of pass, warn and fail, each with its cure: what check and doctor print. */
#ifndef LP_CMD_FINDINGS_H
#define LP_CMD_FINDINGS_H

#include "core/buffer.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_finding { LP_FINDING_PASS, LP_FINDING_WARN, LP_FINDING_FAIL };

struct lp_findings {
    bool json; /* gathered and printed at the end; else a line at once */
    uint32_t counts[3];
    struct lp_buffer lines;
};

void lp_findings_init(struct lp_findings *findings, bool json);
/** `subject`: what was looked at, a word or two. */
void lp_findings_add(struct lp_findings *findings, enum lp_finding finding, const char *subject, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/** A failure with the text of `err`. */
void lp_findings_fail(struct lp_findings *findings, const char *subject, const struct lp_error *err);
/** Print what is left, free, and return the exit code: 1 when anything failed. */
int lp_findings_done(struct lp_findings *findings);

#endif
