/* A small learnable set and a trainer on it. */
#ifndef TESTS_UNIT_TRAIN_BED_H
#define TESTS_UNIT_TRAIN_BED_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer.h"

enum { BED_ROWS = 600, BED_COLUMNS = 6, BED_VALID = 100, BED_TABLE = 4 };

struct bed {
    float x[BED_ROWS][BED_COLUMNS], y[BED_ROWS];
    uint32_t order[BED_ROWS], group[BED_ROWS];
    struct lp_train_data data;
    struct lp_train_split split;
    struct lp_net_spec spec;
    struct lp_net_embedding table;
    struct lp_train_options options;
};

/* The last column is a category of BED_TABLE values; a row's odds follow a plane and its category. */
static inline void bed_init(struct bed *b)
{
    uint64_t random = 4711;
    memset(b, 0, sizeof *b);
    for (uint32_t r = 0; r < BED_ROWS; r++) {
        double z = 0;
        for (uint32_t c = 0; c + 1 < BED_COLUMNS; c++) {
            b->x[r][c] = (float)(4 * lp_train_uniform(&random) - 2);
            z += (c % 2 == 0 ? 1.0 : -0.7) * (double)b->x[r][c];
        }
        b->x[r][BED_COLUMNS - 1] = (float)lp_train_below(&random, BED_TABLE);
        z += (double)b->x[r][BED_COLUMNS - 1] - 1.5;
        b->y[r] = lp_train_uniform(&random) < 1 / (1 + exp(-2 * z)) ? 1.0f : 0.0f;
        b->order[r] = r;
        b->group[r] = r / 10;
    }
    b->table = (struct lp_net_embedding){.column = BED_COLUMNS - 1, .rows = BED_TABLE, .width = 3};
    b->data = (struct lp_train_data){
        .row_count = BED_ROWS, .column_count = BED_COLUMNS, .x = b->x[0], .x_row = BED_COLUMNS, .y = b->y};
    b->split = (struct lp_train_split){b->order, b->order + BED_ROWS - BED_VALID, BED_ROWS - BED_VALID, BED_VALID};
    b->spec = (struct lp_net_spec){.column_count = BED_COLUMNS, .layer_count = 3};
    b->spec.layers[0] = b->spec.layers[1] = (struct lp_net_layer){.width = 20, .activation = LP_ACTIVATION_RELU};
    b->spec.layers[2] = (struct lp_net_layer){.width = 1};
    b->options = (struct lp_train_options){.loss = {LP_LOSS_BINARY, 1, 1},
                                           .optimizer = LP_OPTIMIZER_ADAM,
                                           .rate = 0.003,
                                           .beta1 = 0.9,
                                           .beta2 = 0.999,
                                           .epsilon = 1e-8,
                                           .schedule_factor = 1,
                                           .epochs = 6,
                                           .batch_rows = 32,
                                           .seed = 5,
                                           .threads = 1,
                                           .label_scale = 1,
                                           .threshold = 0.5};
}

/* Everything at once: tables, batch norm, dropout. */
static inline void bed_enrich(struct bed *b)
{
    b->spec.embedding_count = 1;
    b->spec.embeddings = &b->table;
    b->spec.layers[0].batch_norm = true;
    b->spec.layers[1].dropout = 0.2f;
    b->spec.layers[1].activation = LP_ACTIVATION_TANH;
}

static inline struct lp_trainer *bed_run(struct bed *b)
{
    struct lp_trainer *trainer;
    struct lp_error err;
    if (lp_trainer_new(&b->spec, &b->data, &b->split, &b->options, &trainer, &err) != LP_OK) fail_msg("%s", err.text);
    if (lp_trainer_run(trainer, &err) != LP_OK) fail_msg("%s", err.text);
    return trainer;
}

#endif
