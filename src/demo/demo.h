/* lepton demo: everything at once on an embedded broker. */
#ifndef LP_DEMO_DEMO_H
#define LP_DEMO_DEMO_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_demo_options {
    int64_t seconds;         /* 0: until `interrupted` */
    const char *http_listen; /* host:port */
    bool (*interrupted)(void *context);
    void *context;
};

/**
 * Run the demo: embedded broker, a year of flights, worker, drift alarm, deployment of a second model, audit, summary
 * on stdout. Writes nothing but a temporary folder, which it removes.
 * @return LP_E_MISMATCH when the audit finds a record lost, twice or out of order
 */
LP_MUST_USE enum lp_code lp_demo_run(const struct lp_demo_options *options, struct lp_error *err);

#endif
