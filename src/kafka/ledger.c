#include "kafka/ledger.h"

#include <assert.h>
#include <stdlib.h>

enum { NONE = UINT32_MAX };

struct entry {
    int64_t offset;      /* of the last record, where done ones were joined */
    uint32_t generation; /* of the entry's present use; never 0 */
    uint32_t needed;     /* outputs not acknowledged yet */
    uint32_t next;       /* in the slot's order, or in the free list */
    uint32_t before;     /* in the slot's order; of all but the head */
    uint32_t slot;       /* NONE: free */
};

struct slot {
    uint32_t head, tail; /* oldest and newest entry in flight */
    uint32_t count;
    uint32_t next_advanced;
    int64_t next_offset; /* last done of the prefix + 1 */
    bool open, advanced;
};

struct lp_ledger {
    struct entry *entries;
    struct slot *slots;
    uint32_t entries_max, slots_max, free_head, in_flight;
    uint32_t advanced_head, advanced_tail; /* queue of slots to take */
};

enum lp_code lp_ledger_new(uint32_t entries_max, uint32_t slots_max, struct lp_ledger **ret_ledger,
                           struct lp_error *err)
{
    if (entries_max == 0 || entries_max == NONE || slots_max == 0 || slots_max == NONE)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "ledger of %u entries and %u slots: out of range", entries_max,
                       slots_max);
    struct lp_ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) return lp_fail_memory(err, sizeof *ledger);
    ledger->entries = calloc(entries_max, sizeof *ledger->entries);
    ledger->slots = calloc(slots_max, sizeof *ledger->slots);
    if (ledger->entries == NULL || ledger->slots == NULL) {
        lp_ledger_free(ledger);
        return lp_fail_memory(err, entries_max * sizeof(struct entry) + slots_max * sizeof(struct slot));
    }
    ledger->entries_max = entries_max;
    ledger->slots_max = slots_max;
    ledger->advanced_head = ledger->advanced_tail = NONE;
    for (uint32_t i = 0; i < entries_max; i++)
        ledger->entries[i] = (struct entry){.generation = 1, .slot = NONE, .next = i + 1 < entries_max ? i + 1 : NONE};
    for (uint32_t i = 0; i < slots_max; i++) ledger->slots[i].head = ledger->slots[i].tail = NONE;
    *ret_ledger = ledger;
    return LP_OK;
}

void lp_ledger_free(struct lp_ledger *ledger)
{
    if (ledger == NULL) return;
    free(ledger->entries);
    free(ledger->slots);
    free(ledger);
}

static void release(struct lp_ledger *ledger, uint32_t index)
{
    struct entry *entry = &ledger->entries[index];
    entry->slot = NONE;
    if (++entry->generation == 0) entry->generation = 1;
    entry->next = ledger->free_head;
    ledger->free_head = index;
    ledger->in_flight--;
}

static void mark_advanced(struct lp_ledger *ledger, uint32_t index)
{
    struct slot *slot = &ledger->slots[index];
    if (slot->advanced) return;
    slot->advanced = true;
    slot->next_advanced = NONE;
    if (ledger->advanced_tail == NONE) ledger->advanced_head = index;
    else ledger->slots[ledger->advanced_tail].next_advanced = index;
    ledger->advanced_tail = index;
}

/* Take the done prefix off the slot. Each entry goes once: O(1) an operation on average. */
static void advance(struct lp_ledger *ledger, uint32_t index)
{
    struct slot *slot = &ledger->slots[index];
    while (slot->head != NONE && ledger->entries[slot->head].needed == 0) {
        uint32_t done = slot->head;
        slot->next_offset = ledger->entries[done].offset + 1;
        slot->head = ledger->entries[done].next;
        if (slot->head == NONE) slot->tail = NONE;
        slot->count--;
        release(ledger, done);
        mark_advanced(ledger, index);
    }
}

static void take_out(struct lp_ledger *ledger, struct slot *slot, uint32_t index)
{
    struct entry *entry = &ledger->entries[index];
    ledger->entries[entry->before].next = entry->next;
    if (entry->next == NONE) slot->tail = entry->before;
    else ledger->entries[entry->next].before = entry->before;
    slot->count--;
    release(ledger, index);
}

/* Done records behind an open one are one entry, so that one that stays open does not fill the ledger. */
static void join(struct lp_ledger *ledger, struct slot *slot, uint32_t index)
{
    struct entry *entry = &ledger->entries[index];
    uint32_t before = entry->before, next = entry->next;
    if (next != NONE && ledger->entries[next].needed == 0) {
        entry->offset = ledger->entries[next].offset;
        take_out(ledger, slot, next);
    }
    if (ledger->entries[before].needed > 0) return;
    ledger->entries[before].offset = entry->offset;
    take_out(ledger, slot, index);
}

static void finish(struct lp_ledger *ledger, uint32_t index)
{
    uint32_t slot = ledger->entries[index].slot;
    if (ledger->slots[slot].head == index) advance(ledger, slot);
    else join(ledger, &ledger->slots[slot], index);
}

void lp_ledger_open(struct lp_ledger *ledger, uint32_t slot)
{
    assert(slot < ledger->slots_max && !ledger->slots[slot].open);
    ledger->slots[slot].open = true;
}

/* Out of the queue of advanced slots; revokes are rare and the queue is short. */
static void unmark_advanced(struct lp_ledger *ledger, uint32_t index)
{
    if (!ledger->slots[index].advanced) return;
    uint32_t before = NONE;
    for (uint32_t i = ledger->advanced_head; i != index; i = ledger->slots[i].next_advanced) before = i;
    uint32_t after = ledger->slots[index].next_advanced;
    if (before == NONE) ledger->advanced_head = after;
    else ledger->slots[before].next_advanced = after;
    if (ledger->advanced_tail == index) ledger->advanced_tail = before;
    ledger->slots[index].advanced = false;
}

void lp_ledger_close(struct lp_ledger *ledger, uint32_t slot_index)
{
    assert(slot_index < ledger->slots_max);
    struct slot *slot = &ledger->slots[slot_index];
    while (slot->head != NONE) {
        uint32_t index = slot->head;
        slot->head = ledger->entries[index].next;
        release(ledger, index);
    }
    unmark_advanced(ledger, slot_index);
    *slot = (struct slot){.head = NONE, .tail = NONE};
}

lp_ledger_ticket lp_ledger_add(struct lp_ledger *ledger, uint32_t slot_index, int64_t offset, uint32_t outputs)
{
    assert(slot_index < ledger->slots_max && ledger->slots[slot_index].open);
    uint32_t index = ledger->free_head;
    if (index == NONE) return 0;
    struct entry *entry = &ledger->entries[index];
    struct slot *slot = &ledger->slots[slot_index];
    ledger->free_head = entry->next;
    entry->offset = offset;
    entry->needed = outputs;
    entry->next = NONE;
    entry->before = slot->tail;
    entry->slot = slot_index;
    if (slot->tail == NONE) slot->head = index;
    else ledger->entries[slot->tail].next = index;
    slot->tail = index;
    slot->count++;
    ledger->in_flight++;
    lp_ledger_ticket ticket = (uint64_t)entry->generation << 32 | index;
    if (outputs == 0) finish(ledger, index);
    return ticket;
}

static struct entry *find(const struct lp_ledger *ledger, lp_ledger_ticket ticket)
{
    uint32_t index = (uint32_t)ticket;
    if (index >= ledger->entries_max) return NULL;
    struct entry *entry = &ledger->entries[index];
    return entry->slot != NONE && entry->generation == (uint32_t)(ticket >> 32) ? entry : NULL;
}

bool lp_ledger_done(struct lp_ledger *ledger, lp_ledger_ticket ticket)
{
    struct entry *entry = find(ledger, ticket);
    if (entry == NULL || entry->needed == 0) return false;
    if (--entry->needed == 0) finish(ledger, (uint32_t)ticket);
    return true;
}

bool lp_ledger_find(const struct lp_ledger *ledger, lp_ledger_ticket ticket, uint32_t *ret_slot, int64_t *ret_offset)
{
    const struct entry *entry = find(ledger, ticket);
    if (entry == NULL) return false;
    *ret_slot = entry->slot;
    *ret_offset = entry->offset;
    return true;
}

bool lp_ledger_take_advanced(struct lp_ledger *ledger, uint32_t *ret_slot, int64_t *ret_next_offset)
{
    uint32_t index = ledger->advanced_head;
    if (index == NONE) return false;
    struct slot *slot = &ledger->slots[index];
    ledger->advanced_head = slot->next_advanced;
    if (ledger->advanced_head == NONE) ledger->advanced_tail = NONE;
    slot->advanced = false;
    *ret_slot = index;
    *ret_next_offset = slot->next_offset;
    return true;
}

uint32_t lp_ledger_in_flight(const struct lp_ledger *ledger) { return ledger->in_flight; }

uint32_t lp_ledger_slot_in_flight(const struct lp_ledger *ledger, uint32_t slot)
{
    assert(slot < ledger->slots_max);
    return ledger->slots[slot].count;
}

uint32_t lp_ledger_free_entries(const struct lp_ledger *ledger) { return ledger->entries_max - ledger->in_flight; }
