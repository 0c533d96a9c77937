/* Epochs as a whole: threads, stopping, schedules, pairs, what cannot go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/train/bed.h"

static struct bed bed;

static bool same_params(struct lp_trainer *a, struct lp_trainer *b)
{
    const struct lp_net *x = lp_trainer_net(a), *y = lp_trainer_net(b);
    return x->param_floats == y->param_floats && memcmp(x->params, y->params, x->param_floats * sizeof(float)) == 0 &&
           memcmp(x->running, y->running, x->running_floats * sizeof(float)) == 0;
}

static void same_seed_and_threads_give_the_same_bytes(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        bed_init(&bed);
        bed_enrich(&bed);
        bed.options.threads = threads;
        struct lp_trainer *a = bed_run(&bed), *b = bed_run(&bed);
        assert_true(same_params(a, b));
        lp_trainer_free(b);
        bed.options.seed++;
        b = bed_run(&bed);
        assert_false(same_params(a, b));
        lp_trainer_free(a);
        lp_trainer_free(b);
    }
}

static void threads_change_rounding_only(void **state)
{
    (void)state;
    bed_init(&bed);
    bed_enrich(&bed);
    bed.options.clip = 0.5;
    struct lp_trainer *one = bed_run(&bed);
    for (uint32_t threads = 2; threads <= 5; threads++) {
        uint32_t count, other;
        bed.options.threads = threads;
        struct lp_trainer *many = bed_run(&bed);
        const struct lp_train_epoch *a = lp_trainer_history(one, &count), *b = lp_trainer_history(many, &other);
        assert_int_equal(count, other);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(fabs(a[i].train_loss - b[i].train_loss) < 1e-4);
            assert_true(fabs(a[i].valid.loss - b[i].valid.loss) < 1e-4);
        }
        lp_trainer_free(many);
    }
    lp_trainer_free(one);
}

static void it_learns(void **state)
{
    uint32_t count;
    (void)state;
    bed_init(&bed);
    bed.options.epochs = 30;
    struct lp_trainer *trainer = bed_run(&bed);
    const struct lp_train_epoch *history = lp_trainer_history(trainer, &count);
    assert_int_equal(count, 30);
    assert_true(history[count - 1].train_loss < 0.6 * history[0].train_loss);
    assert_true(history[count - 1].valid.auc > 0.9);
    lp_trainer_free(trainer);
}

/* With every optimizer and penalty that could move them; what is not 0 learns. */
static void zeros_that_are_held_stay(void **state)
{
    static const enum lp_optimizer kinds[] = {LP_OPTIMIZER_MOMENTUM, LP_OPTIMIZER_ADAM, LP_OPTIMIZER_ADAMW};
    struct lp_error err;
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct lp_trainer *trainer;
        float before[20 * 20], after[20 * 20];
        bed_init(&bed);
        bed.options.optimizer = kinds[k];
        bed.options.decay = bed.options.l1 = bed.options.l2 = 1e-4;
        bed.options.threads = 2;
        bed.options.hold_zeros = true;
        assert_int_equal(lp_trainer_new(&bed.spec, &bed.data, &bed.split, &bed.options, &trainer, &err), LP_OK);
        struct lp_net *net = lp_trainer_net(trainer);
        lp_net_get_weight(net, 1, before);
        for (int i = 0; i < 400; i += 3) before[i] = 0;
        lp_net_set_weight(net, 1, before);
        lp_net_turn_all(net);
        assert_int_equal(lp_trainer_run(trainer, &err), LP_OK);
        lp_net_get_weight(net, 1, after);
        for (int i = 0; i < 400; i++) assert_true(i % 3 == 0 ? after[i] == 0 : after[i] != before[i]);
        assert_true(net->params[net->dense[1].bias] != 0);
        lp_trainer_free(trainer);
    }
}

static void no_layers_are_least_squares(void **state)
{
    static const float want[] = {2, -3, 0.5f, 1, -1, 0.25f};
    (void)state;
    bed_init(&bed);
    for (uint32_t r = 0; r < BED_ROWS; r++) {
        bed.y[r] = 4;
        for (uint32_t c = 0; c < BED_COLUMNS; c++) bed.y[r] += want[c] * bed.x[r][c];
    }
    bed.spec.layer_count = 1;
    bed.spec.layers[0] = (struct lp_net_layer){.width = 1};
    bed.options.loss.kind = LP_LOSS_SQUARED;
    bed.options.rate = 0.05;
    bed.options.epochs = 200;
    bed.options.schedule = LP_SCHEDULE_COSINE;
    struct lp_trainer *trainer = bed_run(&bed);
    const struct lp_net *net = lp_trainer_net(trainer);
    for (uint32_t c = 0; c < BED_COLUMNS; c++)
        assert_true(fabsf(net->params[net->dense[0].weight + c] - want[c]) < 1e-3f);
    assert_true(fabsf(net->params[net->dense[0].bias] - 4) < 1e-3f);
    lp_trainer_free(trainer);
}

static void pairs_put_ones_above_zeros_of_their_group(void **state)
{
    uint32_t count;
    (void)state;
    bed_init(&bed);
    bed.data.group = bed.group;
    bed.options.loss.kind = LP_LOSS_BPR;
    bed.options.epochs = 30;
    bed.options.threads = 2;
    struct lp_trainer *trainer = bed_run(&bed);
    const struct lp_train_epoch *history = lp_trainer_history(trainer, &count);
    assert_true(history[count - 1].valid.auc > 0.9);
    assert_true(history[count - 1].valid.loss < 0.6 * 0.693);
    lp_trainer_free(trainer);
}

static void patience_stops_and_the_best_epoch_is_kept(void **state)
{
    uint32_t count;
    (void)state;
    bed_init(&bed);
    bed.options.epochs = 500;
    bed.options.rate = 0.01;
    bed.options.patience = 4;
    struct lp_trainer *trainer = bed_run(&bed);
    const struct lp_train_epoch *history = lp_trainer_history(trainer, &count);
    uint32_t kept = lp_trainer_kept_epoch(trainer);
    assert_true(count < 500);
    assert_int_equal(kept, count - 4);
    for (uint32_t i = 0; i < count; i++) assert_true(history[kept - 1].valid.loss <= history[i].valid.loss);
    float margins[BED_VALID];
    struct lp_error err;
    struct lp_metrics metrics;
    assert_int_equal(lp_trainer_score(trainer, bed.split.valid, BED_VALID, margins, &err), LP_OK);
    const struct lp_metrics_rows rows = {
        .margins = margins, .y = bed.y + BED_ROWS - BED_VALID, .rows = BED_VALID, .outputs = 1, .threshold = 0.5};
    assert_int_equal(lp_metrics_run(&bed.options.loss, &rows, &metrics, &err), LP_OK);
    assert_true(fabs(metrics.loss - history[kept - 1].valid.loss) < 1e-6);
    lp_trainer_free(trainer);
}

static void a_loss_that_is_not_finite_stops_with_its_reason(void **state)
{
    struct lp_trainer *trainer;
    struct lp_error err;
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        bed_init(&bed);
        bed.options.optimizer = LP_OPTIMIZER_SGD;
        bed.options.loss.kind = LP_LOSS_SQUARED;
        bed.options.rate = 1000;
        bed.options.threads = threads;
        assert_int_equal(lp_trainer_new(&bed.spec, &bed.data, &bed.split, &bed.options, &trainer, &err), LP_OK);
        assert_int_equal(lp_trainer_run(trainer, &err), LP_E_REFUSED);
        assert_non_null(strstr(err.text, "learning rate"));
        lp_trainer_free(trainer);
        bed.x[17][3] = INFINITY;
        assert_int_equal(lp_trainer_new(&bed.spec, &bed.data, &bed.split, &bed.options, &trainer, &err), LP_OK);
        assert_int_equal(lp_trainer_run(trainer, &err), LP_E_REFUSED);
        assert_non_null(strstr(err.text, "row 17, column 3"));
        lp_trainer_free(trainer);
    }
}

static void schedules_set_the_rate_of_each_epoch(void **state)
{
    uint32_t count;
    (void)state;
    bed_init(&bed);
    bed.options.schedule = LP_SCHEDULE_STEP;
    bed.options.schedule_epochs = 2;
    bed.options.schedule_factor = 0.5;
    struct lp_trainer *trainer = bed_run(&bed);
    const struct lp_train_epoch *history = lp_trainer_history(trainer, &count);
    for (uint32_t i = 0; i < count; i++) assert_true(fabs(history[i].rate - 0.003 * pow(0.5, i / 2)) < 1e-12);
    lp_trainer_free(trainer);
    bed.options.schedule = LP_SCHEDULE_CONSTANT;
    bed.options.warmup_steps = 160; /* ten epochs of 16 batches */
    trainer = bed_run(&bed);
    history = lp_trainer_history(trainer, &count);
    for (uint32_t i = 0; i < count; i++) assert_true(fabs(history[i].rate - 0.003 * (i + 1) / 10) < 1e-12);
    lp_trainer_free(trainer);
    bed.options.warmup_steps = 0;
    bed.options.schedule = LP_SCHEDULE_PLATEAU;
    bed.options.schedule_epochs = 1;
    bed.options.rate = 0.02;
    bed.options.epochs = 60;
    trainer = bed_run(&bed);
    history = lp_trainer_history(trainer, &count);
    double best = INFINITY, rate = 0.02;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(fabs(history[i].rate - rate) < 1e-12);
        if (history[i].valid.loss < best) best = history[i].valid.loss;
        else rate *= 0.5;
    }
    assert_true(rate < 0.02);
    lp_trainer_free(trainer);
}

static void clipping_bounds_the_step(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        bed_init(&bed);
        bed.options.optimizer = LP_OPTIMIZER_SGD;
        bed.options.rate = 1;
        bed.options.clip = 0.01;
        bed.options.threads = threads;
        bed.options.epochs = 0;
        bed.options.batch_rows = BED_ROWS;
        struct lp_trainer *before = bed_run(&bed);
        bed.options.epochs = 1;
        struct lp_trainer *after = bed_run(&bed);
        const struct lp_net *a = lp_trainer_net(before), *b = lp_trainer_net(after);
        double square = 0;
        for (size_t i = 0; i < a->dense_floats; i++) {
            double moved = (double)a->params[i] - (double)b->params[i];
            square += moved * moved;
        }
        assert_true(fabs(sqrt(square) - 0.01) < 1e-5);
        lp_trainer_free(before);
        lp_trainer_free(after);
    }
}

static void a_table_index_out_of_range_is_refused(void **state)
{
    struct lp_trainer *trainer;
    struct lp_error err;
    static const float bad[] = {-1, BED_TABLE, 0.5f, NAN, 1e30f};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bed_init(&bed);
        bed_enrich(&bed);
        bed.x[599][BED_COLUMNS - 1] = bad[i];
        assert_int_equal(lp_trainer_new(&bed.spec, &bed.data, &bed.split, &bed.options, &trainer, &err), LP_E_INVALID);
        assert_non_null(strstr(err.text, "row 599"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_and_threads_give_the_same_bytes),
        cmocka_unit_test(threads_change_rounding_only),
        cmocka_unit_test(it_learns),
        cmocka_unit_test(zeros_that_are_held_stay),
        cmocka_unit_test(no_layers_are_least_squares),
        cmocka_unit_test(pairs_put_ones_above_zeros_of_their_group),
        cmocka_unit_test(patience_stops_and_the_best_epoch_is_kept),
        cmocka_unit_test(a_loss_that_is_not_finite_stops_with_its_reason),
        cmocka_unit_test(schedules_set_the_rate_of_each_epoch),
        cmocka_unit_test(clipping_bounds_the_step),
        cmocka_unit_test(a_table_index_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
