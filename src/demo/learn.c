#include "demo/learn.h"

#include "core/clock.h"
#include "fit/fit.h"
#include "model/write.h"
#include "train/job.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What `lepton fit` makes of the rows, without the day: it would be the drift itself. */
static enum lp_code fit(const char *path, json_t **ret_spec, struct lp_error *err)
{
    static const char *const drop[] = {"day"};
    const struct lp_fit_options options = {.path = path, .label = "late", .drop = drop, .drop_count = 1};
    struct lp_fit *fit = NULL;
    enum lp_code rc = lp_fit_run(&options, &fit, err);
    if (rc == LP_OK) rc = lp_fit_spec(fit, &options, ret_spec, err);
    lp_fit_free(fit);
    return rc;
}

static enum lp_code train(const char *data, const json_t *spec, const char *version, struct lp_job_result *ret_result,
                          struct lp_error *err)
{
    const struct lp_net_layer layer = {.width = 24, .activation = LP_ACTIVATION_RELU};
    json_t *steps = json_pack("[s]", "lepton demo");
    struct lp_job_request request = {.data = data,
                                     .label = "late",
                                     .group = "day",
                                     .spec = spec,
                                     .fitted = true,
                                     .hidden_count = 2,
                                     .split = {LP_SPLIT_GROUP, 0.2, 0},
                                     .threshold = 0.5,
                                     .name = "flights",
                                     .version = version,
                                     .steps = steps};
    request.hidden[0] = request.hidden[1] = layer;
    request.hidden[1].width = 12;
    request.train = (struct lp_train_options){.optimizer = LP_OPTIMIZER_ADAM,
                                              .rate = 0.002,
                                              .beta1 = 0.9,
                                              .beta2 = 0.999,
                                              .epsilon = 1e-8,
                                              .l2 = 0.001,
                                              .schedule_factor = 1,
                                              .epochs = 12,
                                              .batch_rows = 128,
                                              .seed = 2013,
                                              .threads = 1};
    enum lp_code rc = steps != NULL ? lp_job_run(&request, ret_result, err) : lp_fail_memory(err, 0);
    json_decref(steps);
    return rc;
}

enum lp_code lp_learn(const struct lp_flights *flights, int first, int last, const char *version, const char *folder,
                      struct lp_learned *ret_learned, struct lp_error *err)
{
    struct lp_learned learned = {.rows = 0};
    struct lp_job_result result;
    json_t *spec = NULL;
    char data[4096];
    uint64_t begin = lp_clock_ns();
    snprintf(data, sizeof data, "%.3900s/flights-%.16s.csv", folder, version);
    snprintf(learned.path, sizeof learned.path, "%.3900s/flights-%.16s.safetensors", folder, version);
    enum lp_code rc = lp_flights_write(flights, first, last, data, err);
    if (rc == LP_OK) rc = fit(data, &spec, err);
    if (rc == LP_OK) rc = train(data, spec, version, &result, err);
    json_decref(spec);
    unlink(data);
    if (rc != LP_OK) return lp_error_wrap(err, "demo: learning version %s", version);
    rc = lp_bundle_save(learned.path, lp_buffer_span(&result.bundle), err);
    memcpy(learned.sha256, result.sha256, sizeof learned.sha256);
    learned.rows = result.train_rows;
    learned.auc = result.valid.auc;
    lp_job_done(&result);
    learned.seconds = (double)(lp_clock_ns() - begin) * 1e-9;
    if (rc == LP_OK) *ret_learned = learned;
    return rc;
}
