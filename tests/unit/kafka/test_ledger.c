#include "kafka/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct lp_ledger *make(uint32_t entries, uint32_t slots)
{
    struct lp_ledger *ledger = NULL;
    struct lp_error err;
    assert_int_equal(lp_ledger_new(entries, slots, &ledger, &err), LP_OK);
    return ledger;
}

static void refuses_sizes_out_of_range(void **state)
{
    struct lp_ledger *ledger = NULL;
    struct lp_error err;
    (void)state;
    assert_int_equal(lp_ledger_new(0, 1, &ledger, &err), LP_E_INVALID);
    assert_int_equal(lp_ledger_new(1, 0, &ledger, &err), LP_E_INVALID);
    assert_int_equal(lp_ledger_new(UINT32_MAX, 1, &ledger, &err), LP_E_INVALID);
    assert_null(ledger);
}

static void offset_is_held_back_by_the_oldest_open_record(void **state)
{
    struct lp_ledger *ledger = make(8, 2);
    uint32_t slot;
    int64_t next;
    (void)state;
    lp_ledger_open(ledger, 1);
    lp_ledger_ticket a = lp_ledger_add(ledger, 1, 10, 1), b = lp_ledger_add(ledger, 1, 20, 2);
    assert_true(a != 0 && b != 0 && a != b);
    assert_true(lp_ledger_done(ledger, b));
    assert_true(lp_ledger_done(ledger, b));
    assert_false(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_true(lp_ledger_done(ledger, a));
    assert_true(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_int_equal(slot, 1);
    assert_int_equal(next, 21);
    assert_false(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_int_equal(lp_ledger_in_flight(ledger), 0);
    lp_ledger_free(ledger);
}

static void records_without_outputs_are_done_in_their_order(void **state)
{
    struct lp_ledger *ledger = make(4, 1);
    uint32_t slot;
    int64_t next;
    (void)state;
    lp_ledger_open(ledger, 0);
    assert_true(lp_ledger_add(ledger, 0, 5, 0) != 0);
    assert_true(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_int_equal(next, 6);
    lp_ledger_ticket a = lp_ledger_add(ledger, 0, 6, 1);
    assert_true(lp_ledger_add(ledger, 0, 7, 0) != 0);
    assert_false(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_true(lp_ledger_done(ledger, a));
    assert_true(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_int_equal(next, 8);
    lp_ledger_free(ledger);
}

static void full_ledger_gives_no_ticket_until_one_is_done(void **state)
{
    struct lp_ledger *ledger = make(2, 1);
    (void)state;
    lp_ledger_open(ledger, 0);
    lp_ledger_ticket a = lp_ledger_add(ledger, 0, 1, 1);
    assert_true(lp_ledger_add(ledger, 0, 2, 1) != 0);
    assert_int_equal(lp_ledger_free_entries(ledger), 0);
    assert_int_equal(lp_ledger_add(ledger, 0, 3, 1), 0);
    assert_true(lp_ledger_done(ledger, a));
    assert_int_equal(lp_ledger_free_entries(ledger), 1);
    assert_true(lp_ledger_add(ledger, 0, 3, 1) != 0);
    lp_ledger_free(ledger);
}

static void a_record_that_stays_open_does_not_fill_the_ledger(void **state)
{
    struct lp_ledger *ledger = make(4, 2);
    uint32_t slot;
    int64_t next;
    (void)state;
    lp_ledger_open(ledger, 0);
    lp_ledger_ticket open = lp_ledger_add(ledger, 0, 1, 1);
    for (int64_t offset = 2; offset < 100; offset++)
        assert_true(lp_ledger_done(ledger, lp_ledger_add(ledger, 0, offset, 1)));
    assert_int_equal(lp_ledger_free_entries(ledger), 3);
    assert_false(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_true(lp_ledger_done(ledger, open));
    assert_true(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_int_equal(next, 100);
    assert_int_equal(lp_ledger_free_entries(ledger), 4);
    lp_ledger_free(ledger);
}

static void tickets_of_a_closed_slot_are_stale_for_good(void **state)
{
    struct lp_ledger *ledger = make(2, 2);
    uint32_t slot;
    int64_t next;
    (void)state;
    lp_ledger_open(ledger, 0);
    lp_ledger_ticket old = lp_ledger_add(ledger, 0, 100, 1);
    lp_ledger_ticket done = lp_ledger_add(ledger, 0, 101, 1);
    assert_true(lp_ledger_done(ledger, old));
    lp_ledger_close(ledger, 0); /* advanced and not taken: forgotten too */
    assert_false(lp_ledger_take_advanced(ledger, &slot, &next));
    assert_false(lp_ledger_done(ledger, done));
    lp_ledger_open(ledger, 0);
    assert_true(lp_ledger_add(ledger, 0, 500, 1) != 0);
    assert_true(lp_ledger_add(ledger, 0, 501, 1) != 0);
    assert_false(lp_ledger_done(ledger, old));
    assert_false(lp_ledger_done(ledger, done));
    assert_int_equal(lp_ledger_slot_in_flight(ledger, 0), 2);
    assert_false(lp_ledger_done(ledger, 0));
    assert_false(lp_ledger_done(ledger, UINT64_MAX));
    lp_ledger_free(ledger);
}

/* --- the naive list that the ledger must agree with --- */

enum { SLOTS = 7, RECORDS = 200, MODEL_MAX = 4000, STEPS = 400000 };

struct model_entry {
    lp_ledger_ticket ticket;
    int64_t offset;
    uint32_t needed, slot;
    bool live;
};

struct model {
    struct model_entry entries[MODEL_MAX]; /* in order of arrival; old ones stay as stale tickets */
    uint32_t count;
    bool open[SLOTS], advanced[SLOTS];
    int64_t next[SLOTS], last_offset[SLOTS];
};

static uint64_t random_state = 88172645463325252u;
static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % bound;
}

static uint32_t model_in_flight(const struct model *model, uint32_t slot)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->count; i++) {
        const struct model_entry *entry = &model->entries[i];
        count += entry->live && entry->needed > 0 && (slot == UINT32_MAX || entry->slot == slot);
    }
    return count;
}

static void model_advance(struct model *model, uint32_t slot)
{
    for (uint32_t i = 0; i < model->count; i++) {
        struct model_entry *entry = &model->entries[i];
        if (!entry->live || entry->slot != slot) continue;
        if (entry->needed > 0) return;
        entry->live = false;
        model->next[slot] = entry->offset + 1;
        model->advanced[slot] = true;
    }
}

static void model_compact(struct model *model)
{
    uint32_t kept = 0;
    if (model->count < MODEL_MAX) return;
    for (uint32_t i = 0; i < model->count; i++)
        if (model->entries[i].live || i > MODEL_MAX / 2) model->entries[kept++] = model->entries[i];
    model->count = kept;
}

static void step_add(struct lp_ledger *ledger, struct model *model, uint32_t slot)
{
    /* Mostly what a topic without gaps gives: long runs of consecutive offsets with one output each. */
    uint32_t outputs = random_below(8) == 0 ? random_below(4) : 1;
    int64_t offset = model->last_offset[slot] + 1 + (random_below(16) == 0 ? random_below(3) : 0);
    bool full = model_in_flight(model, UINT32_MAX) == RECORDS;
    lp_ledger_ticket ticket = lp_ledger_add(ledger, slot, offset, outputs);
    assert_int_equal(ticket == 0, full);
    if (full) return;
    for (uint32_t i = 0; i < model->count; i++) assert_true(model->entries[i].ticket != ticket);
    model_compact(model);
    model->last_offset[slot] = offset;
    model->entries[model->count++] = (struct model_entry){ticket, offset, outputs, slot, true};
    model_advance(model, slot);
}

static void step_done(struct lp_ledger *ledger, struct model *model)
{
    if (model->count == 0) return;
    struct model_entry *entry =
        &model->entries[model->count - 1 - random_below(model->count < 200 ? model->count : 200)];
    bool expected = entry->live && entry->needed > 0;
    assert_int_equal(lp_ledger_done(ledger, entry->ticket), expected);
    if (!expected) return;
    entry->needed--;
    model_advance(model, entry->slot);
}

static void step_take(struct lp_ledger *ledger, struct model *model)
{
    uint32_t slot;
    int64_t next;
    while (lp_ledger_take_advanced(ledger, &slot, &next)) {
        assert_true(slot < SLOTS && model->advanced[slot]);
        assert_int_equal(next, model->next[slot]);
        model->advanced[slot] = false;
    }
    for (uint32_t i = 0; i < SLOTS; i++) assert_false(model->advanced[i]);
}

static void step_switch(struct lp_ledger *ledger, struct model *model, uint32_t slot)
{
    if (!model->open[slot]) lp_ledger_open(ledger, slot);
    else lp_ledger_close(ledger, slot);
    model->open[slot] = !model->open[slot];
    model->advanced[slot] = false;
    for (uint32_t i = 0; i < model->count; i++)
        if (model->entries[i].slot == slot) model->entries[i].live = false;
    model->last_offset[slot] = random_below(100);
}

static void agrees_with_a_naive_list_over_random_steps(void **state)
{
    struct lp_ledger *ledger = make(RECORDS, SLOTS);
    struct model *model = calloc(1, sizeof *model);
    (void)state;
    assert_non_null(model);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t slot = random_below(SLOTS), kind = random_below(1000);
        if (kind < 3 || !model->open[slot]) step_switch(ledger, model, slot);
        else if (kind < 500) step_add(ledger, model, slot);
        else if (kind < 950) step_done(ledger, model);
        else step_take(ledger, model);
        if (i % 64 != 0) continue;
        assert_int_equal(lp_ledger_in_flight(ledger), model_in_flight(model, UINT32_MAX));
        assert_int_equal(lp_ledger_slot_in_flight(ledger, slot), model_in_flight(model, slot));
        assert_int_equal(lp_ledger_free_entries(ledger), RECORDS - model_in_flight(model, UINT32_MAX));
    }
    free(model);
    lp_ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_sizes_out_of_range),
        cmocka_unit_test(offset_is_held_back_by_the_oldest_open_record),
        cmocka_unit_test(records_without_outputs_are_done_in_their_order),
        cmocka_unit_test(full_ledger_gives_no_ticket_until_one_is_done),
        cmocka_unit_test(a_record_that_stays_open_does_not_fill_the_ledger),
        cmocka_unit_test(tickets_of_a_closed_slot_are_stale_for_good),
        cmocka_unit_test(agrees_with_a_naive_list_over_random_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
