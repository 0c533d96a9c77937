#include "kafka/ledger.h"

#include <assert.h>
#include <stdlib.h>

enum { NONE = UINT32_MAX, RUN_MAX = 64, INDEX_BITS = 26, POSITION_BITS = 6, RECORDS_MAX = 1 << (INDEX_BITS - 1) };

/* A run of records with consecutive offsets, or done ones that were joined. */
struct entry {
    int64_t first, last; /* offsets */
    uint64_t open;       /* bit k: the record at first + k is not done */
    uint32_t count;      /* records of the run; RUN_MAX: no more join it */
    uint32_t more;       /* outputs that a run of one waits for besides the one that its bit stands for */
    uint32_t generation; /* of the entry's present use; never 0 once it was used */
    uint32_t next;       /* in the slot's order, or in the free list */
    uint32_t before;     /* in the slot's order; of all but the head */
    uint32_t slot;       /* NONE: free */
};

struct slot {
    uint32_t head, tail; /* oldest and newest entry */
    uint32_t open_count; /* records */
    uint32_t next_advanced;
    int64_t next_offset; /* last done of the prefix + 1 */
    bool open, advanced;
};

struct lp_ledger {
    struct entry *entries;
    struct slot *slots;
    uint32_t records_max, entries_max, slots_max;
    uint32_t open_count;                   /* records */
    uint32_t free_head;                    /* entries that were used before */
    uint32_t fresh;                        /* entries from here on never were: untouched memory */
    uint32_t advanced_head, advanced_tail; /* queue of slots to take */
};

enum lp_code lp_ledger_new(uint32_t records_max, uint32_t slots_max, struct lp_ledger **ret_ledger,
                           struct lp_error *err)
{
    if (records_max == 0 || records_max > RECORDS_MAX || slots_max == 0 || slots_max == NONE)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "ledger of %u records and %u slots: out of range", records_max,
                       slots_max);
    struct lp_ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) return lp_fail_memory(err, sizeof *ledger);
    /* Between two entries with open records lies at most one of done ones. */
    uint32_t entries_max = 2 * records_max;
    ledger->entries = calloc(entries_max, sizeof *ledger->entries);
    ledger->slots = calloc(slots_max, sizeof *ledger->slots);
    if (ledger->entries == NULL || ledger->slots == NULL) {
        lp_ledger_free(ledger);
        return lp_fail_memory(err, entries_max * sizeof(struct entry) + slots_max * sizeof(struct slot));
    }
    ledger->records_max = records_max;
    ledger->entries_max = entries_max;
    ledger->slots_max = slots_max;
    ledger->free_head = ledger->advanced_head = ledger->advanced_tail = NONE;
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

static uint32_t take_entry(struct lp_ledger *ledger)
{
    uint32_t index = ledger->free_head;
    if (index != NONE) ledger->free_head = ledger->entries[index].next;
    else if (ledger->fresh < ledger->entries_max) index = ledger->fresh++;
    return index;
}

static void release(struct lp_ledger *ledger, uint32_t index)
{
    struct entry *entry = &ledger->entries[index];
    entry->slot = NONE;
    entry->open = 0;
    entry->next = ledger->free_head;
    ledger->free_head = index;
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

/* Take the done prefix off the slot, whose first entry is done now. Each entry goes once: O(1) an operation on average.
 */
static void advance(struct lp_ledger *ledger, uint32_t index)
{
    struct slot *slot = &ledger->slots[index];
    while (slot->head != NONE) {
        uint32_t done = slot->head;
        const struct entry *entry = &ledger->entries[done];
        if (entry->open != 0) {
            int prefix = __builtin_ctzll(entry->open);
            if (prefix > 0) slot->next_offset = entry->first + prefix;
            break;
        }
        slot->next_offset = entry->last + 1;
        slot->head = entry->next;
        if (slot->head == NONE) slot->tail = NONE;
        release(ledger, done);
    }
    mark_advanced(ledger, index);
}

static void take_out(struct lp_ledger *ledger, struct slot *slot, uint32_t index)
{
    struct entry *entry = &ledger->entries[index];
    ledger->entries[entry->before].next = entry->next;
    if (entry->next == NONE) slot->tail = entry->before;
    else ledger->entries[entry->next].before = entry->before;
    release(ledger, index);
}

/* Done entries behind an open one become one, so that one that stays open does not fill the ledger. */
static void join(struct lp_ledger *ledger, struct slot *slot, uint32_t index)
{
    struct entry *entry = &ledger->entries[index];
    uint32_t before = entry->before, next = entry->next;
    if (next != NONE && ledger->entries[next].open == 0) {
        entry->last = ledger->entries[next].last;
        entry->count = RUN_MAX;
        take_out(ledger, slot, next);
    }
    if (ledger->entries[before].open != 0) return;
    ledger->entries[before].last = entry->last;
    ledger->entries[before].count = RUN_MAX;
    take_out(ledger, slot, index);
}

static void finish(struct lp_ledger *ledger, uint32_t slot, uint32_t index)
{
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
    ledger->open_count -= slot->open_count;
    unmark_advanced(ledger, slot_index);
    *slot = (struct slot){.head = NONE, .tail = NONE};
}

static lp_ledger_ticket ticket_of(const struct entry *entry, uint32_t index, uint32_t position)
{
    return (uint64_t)entry->generation << 32 | position << INDEX_BITS | index;
}

static lp_ledger_ticket begin_run(struct lp_ledger *ledger, uint32_t slot_index, int64_t offset, uint32_t outputs)
{
    uint32_t index = take_entry(ledger);
    if (index == NONE) return 0;
    struct entry *entry = &ledger->entries[index];
    struct slot *slot = &ledger->slots[slot_index];
    entry->first = entry->last = offset;
    entry->open = outputs > 0;
    entry->count = outputs > 1 ? RUN_MAX : 1;
    entry->more = outputs > 1 ? outputs - 1 : 0;
    if (++entry->generation == 0) entry->generation = 1;
    entry->next = NONE;
    entry->before = slot->tail;
    entry->slot = slot_index;
    if (slot->tail == NONE) slot->head = index;
    else ledger->entries[slot->tail].next = index;
    slot->tail = index;
    lp_ledger_ticket ticket = ticket_of(entry, index, 0);
    if (outputs == 0) finish(ledger, slot_index, index);
    return ticket;
}

lp_ledger_ticket lp_ledger_add(struct lp_ledger *ledger, uint32_t slot_index, int64_t offset, uint32_t outputs)
{
    assert(slot_index < ledger->slots_max && ledger->slots[slot_index].open);
    struct slot *slot = &ledger->slots[slot_index];
    lp_ledger_ticket ticket;
    if (ledger->open_count == ledger->records_max) return 0;
    struct entry *tail = slot->tail != NONE ? &ledger->entries[slot->tail] : NULL;
    if (tail != NULL && tail->count < RUN_MAX && tail->last + 1 == offset && outputs <= 1) {
        ticket = ticket_of(tail, slot->tail, tail->count);
        tail->open |= (uint64_t)outputs << tail->count++;
        tail->last = offset;
    } else {
        ticket = begin_run(ledger, slot_index, offset, outputs);
    }
    if (outputs > 0 && ticket != 0) {
        slot->open_count++;
        ledger->open_count++;
    }
    return ticket;
}

static uint32_t position_of(lp_ledger_ticket ticket)
{
    return (uint32_t)ticket >> INDEX_BITS & ((1u << POSITION_BITS) - 1);
}

/* The entry of a ticket whose record is not done. */
static struct entry *find(const struct lp_ledger *ledger, lp_ledger_ticket ticket)
{
    uint32_t index = (uint32_t)ticket & ((1u << INDEX_BITS) - 1);
    if (index >= ledger->entries_max) return NULL;
    struct entry *entry = &ledger->entries[index];
    return entry->generation == (uint32_t)(ticket >> 32) && (entry->open >> position_of(ticket) & 1) != 0 ? entry
                                                                                                          : NULL;
}

bool lp_ledger_done(struct lp_ledger *ledger, lp_ledger_ticket ticket)
{
    struct entry *entry = find(ledger, ticket);
    if (entry == NULL) return false;
    if (entry->more > 0) {
        entry->more--;
        return true;
    }
    uint32_t index = (uint32_t)(entry - ledger->entries);
    uint64_t bit = UINT64_C(1) << position_of(ticket);
    struct slot *slot = &ledger->slots[entry->slot];
    entry->open &= ~bit;
    slot->open_count--;
    ledger->open_count--;
    if (entry->open == 0) {
        finish(ledger, entry->slot, index);
    } else if (slot->head == index && (entry->open & (bit - 1)) == 0) {
        slot->next_offset = entry->first + __builtin_ctzll(entry->open);
        mark_advanced(ledger, entry->slot);
    }
    return true;
}

bool lp_ledger_find(const struct lp_ledger *ledger, lp_ledger_ticket ticket, uint32_t *ret_slot, int64_t *ret_offset)
{
    const struct entry *entry = find(ledger, ticket);
    if (entry == NULL) return false;
    *ret_slot = entry->slot;
    *ret_offset = entry->first + position_of(ticket);
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

uint32_t lp_ledger_in_flight(const struct lp_ledger *ledger) { return ledger->open_count; }

uint32_t lp_ledger_slot_in_flight(const struct lp_ledger *ledger, uint32_t slot)
{
    assert(slot < ledger->slots_max);
    return ledger->slots[slot].open_count;
}

uint32_t lp_ledger_free_entries(const struct lp_ledger *ledger) { return ledger->records_max - ledger->open_count; }
