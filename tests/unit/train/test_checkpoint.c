/* A run that was interrupted and resumed is the run that was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "unit/train/bed.h"

static struct bed bed;
static char path[] = "/tmp/lepton-checkpoint-XXXXXX";

static int begin(void **state)
{
    int fd = mkstemp(path);
    (void)state;
    if (fd < 0) return -1;
    close(fd);
    return unlink(path);
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void prepare(uint32_t threads)
{
    bed_init(&bed);
    bed_enrich(&bed);
    bed.options.threads = threads;
    bed.options.epochs = 9;
    bed.options.schedule = LP_SCHEDULE_PLATEAU;
    bed.options.schedule_epochs = 1;
    bed.options.schedule_factor = 0.7;
    bed.options.rate = 0.02;
}

static void expect_same(struct lp_trainer *a, struct lp_trainer *b)
{
    const struct lp_net *x = lp_trainer_net(a), *y = lp_trainer_net(b);
    uint32_t count, other;
    const struct lp_train_epoch *h = lp_trainer_history(a, &count), *g = lp_trainer_history(b, &other);
    assert_int_equal(count, other);
    assert_int_equal(lp_trainer_kept_epoch(a), lp_trainer_kept_epoch(b));
    assert_memory_equal(x->params, y->params, x->param_floats * sizeof(float));
    assert_memory_equal(x->running, y->running, x->running_floats * sizeof(float));
    for (uint32_t i = 0; i < count; i++) {
        assert_true(h[i].train_loss == g[i].train_loss && h[i].rate == g[i].rate);
        assert_memory_equal(&h[i].valid, &g[i].valid, sizeof h[i].valid);
    }
}

static void a_resumed_run_gives_the_same_bytes(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++)
        for (uint32_t cut = 0; cut <= 9; cut += 3) {
            prepare(threads);
            struct lp_trainer *whole = bed_run(&bed);
            unlink(path);
            bed.options.checkpoint = path;
            bed.options.resume = true;
            bed.options.epochs = cut;
            lp_trainer_free(bed_run(&bed));
            bed.options.epochs = 9;
            struct lp_trainer *resumed = bed_run(&bed);
            expect_same(whole, resumed);
            lp_trainer_free(whole);
            lp_trainer_free(resumed);
        }
}

static enum lp_code resume(struct lp_error *err)
{
    struct lp_trainer *trainer;
    enum lp_code rc = lp_trainer_new(&bed.spec, &bed.data, &bed.split, &bed.options, &trainer, err);
    assert_int_equal(rc, LP_OK);
    rc = lp_trainer_run(trainer, err);
    lp_trainer_free(trainer);
    return rc;
}

static void a_checkpoint_of_another_run_is_refused(void **state)
{
    struct lp_error err;
    (void)state;
    prepare(1);
    unlink(path);
    bed.options.checkpoint = path;
    bed.options.epochs = 2;
    lp_trainer_free(bed_run(&bed));
    bed.options.resume = true;
    bed.options.epochs = 4;
    bed.options.rate = 0.03;
    assert_int_equal(resume(&err), LP_E_MISMATCH);
    assert_non_null(strstr(err.text, path));
    bed.options.rate = 0.02;
    bed.y[3] = 1 - bed.y[3];
    assert_int_equal(resume(&err), LP_E_MISMATCH);
    bed.y[3] = 1 - bed.y[3];
    float before = bed.x[5][2];
    bed.x[5][2] = before + 1;
    assert_int_equal(resume(&err), LP_E_MISMATCH);
    bed.x[5][2] = before;
    bed.data.weight = bed.x[0]; /* any numbers */
    assert_int_equal(resume(&err), LP_E_MISMATCH);
    bed.data.weight = NULL;
    bed.options.class_weight = (const float[]){1, 2};
    assert_int_equal(resume(&err), LP_E_MISMATCH);
    bed.options.class_weight = NULL;
    bed.options.epochs = 1;
    assert_int_equal(resume(&err), LP_E_MISMATCH);
    bed.options.epochs = 4;
    assert_int_equal(resume(&err), LP_OK);
}

static void a_damaged_checkpoint_is_refused(void **state)
{
    static unsigned char file[1 << 20];
    struct lp_error err;
    (void)state;
    prepare(1);
    unlink(path);
    bed.options.checkpoint = path;
    bed.options.epochs = 1;
    lp_trainer_free(bed_run(&bed));
    bed.options.resume = true;
    bed.options.epochs = 2;
    bed.options.checkpoint = path;
    FILE *in = fopen(path, "rb");
    size_t size = fread(file, 1, sizeof file, in);
    fclose(in);
    for (size_t at = 0; at < size; at += size / 40) {
        FILE *out = fopen(path, "wb");
        file[at] ^= 1;
        fwrite(file, 1, size, out);
        fclose(out);
        assert_int_not_equal(resume(&err), LP_OK);
        file[at] ^= 1;
        out = fopen(path, "wb");
        fwrite(file, 1, at, out);
        fclose(out);
        assert_int_not_equal(resume(&err), LP_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_gives_the_same_bytes),
        cmocka_unit_test(a_checkpoint_of_another_run_is_refused),
        cmocka_unit_test(a_damaged_checkpoint_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
