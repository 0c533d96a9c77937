#include "fit/top.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MIN = 32, SLOTS_PER_ENTRY = 4, FILTER_SIZE = LP_TOP_ENTRIES * 4 };

void lp_top_done(struct lp_top *top)
{
    for (uint32_t i = 0; i < top->count; i++) free(top->entries[i].text);
    free(top->entries);
    free(top->heap);
    free(top->table);
    free(top->filter);
    *top = (struct lp_top){0};
}

static uint32_t table_mask(const struct lp_top *top) { return top->capacity * SLOTS_PER_ENTRY - 1; }

/* The slot that holds the hash, or the free one where it would be. */
static uint32_t find_slot(const struct lp_top *top, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & table_mask(top);
    while (top->table[slot] != 0 && top->entries[top->table[slot] - 1].hash != hash)
        slot = (slot + 1) & table_mask(top);
    return slot;
}

/* Twice the room, and the table anew; the filter comes with the last step. */
static enum lp_code grow(struct lp_top *top, struct lp_error *err)
{
    uint32_t capacity = top->capacity > 0 ? top->capacity * 2 : ENTRIES_MIN;
    struct lp_top_entry *entries = realloc(top->entries, capacity * sizeof *entries);
    if (entries != NULL) top->entries = entries;
    uint32_t *heap = realloc(top->heap, capacity * sizeof *heap);
    if (heap != NULL) top->heap = heap;
    uint32_t *table = calloc((size_t)capacity * SLOTS_PER_ENTRY, sizeof *table);
    if (capacity == LP_TOP_ENTRIES) top->filter = calloc(FILTER_SIZE, sizeof *top->filter);
    if (entries == NULL || heap == NULL || table == NULL || (capacity == LP_TOP_ENTRIES && top->filter == NULL)) {
        free(table);
        return lp_fail_memory(err, capacity * sizeof *top->entries);
    }
    free(top->table);
    top->table = table;
    top->capacity = capacity;
    for (uint32_t i = 0; i < top->count; i++) top->table[find_slot(top, top->entries[i].hash)] = i + 1;
    return LP_OK;
}

/* Free a slot and move back those behind it that would no longer be found (Knuth, volume 3, 6.4, algorithm R). */
static void clear_slot(struct lp_top *top, uint32_t slot)
{
    for (uint32_t next = slot;;) {
        next = (next + 1) & table_mask(top);
        if (top->table[next] == 0) break;
        uint32_t home = (uint32_t)top->entries[top->table[next] - 1].hash & table_mask(top);
        if (((next - home) & table_mask(top)) < ((next - slot) & table_mask(top))) continue;
        top->table[slot] = top->table[next];
        slot = next;
    }
    top->table[slot] = 0;
}

/* Other bits than those of the table. */
static uint64_t *filter_of(const struct lp_top *top, uint64_t hash)
{
    return &top->filter[hash >> 40 & (FILTER_SIZE - 1)];
}

static void place(struct lp_top *top, uint32_t at, uint32_t entry)
{
    top->heap[at] = entry;
    top->entries[entry].heap = at;
}

/* An entry's count has grown: it sinks below rarer ones. */
static void sink(struct lp_top *top, uint32_t at)
{
    uint32_t entry = top->heap[at];
    uint64_t count = top->entries[entry].count;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= top->count) break;
        if (child + 1 < top->count && top->entries[top->heap[child + 1]].count < top->entries[top->heap[child]].count)
            child++;
        if (top->entries[top->heap[child]].count >= count) break;
        place(top, at, top->heap[child]);
        at = child;
    }
    place(top, at, entry);
}

static void rise(struct lp_top *top, uint32_t at)
{
    uint32_t entry = top->heap[at];
    while (at > 0 && top->entries[top->heap[(at - 1) / 2]].count > top->entries[entry].count) {
        place(top, at, top->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(top, at, entry);
}

static enum lp_code set_text(struct lp_top_entry *entry, struct lp_span text, struct lp_error *err)
{
    char *copy = realloc(entry->text, text.size + 1);
    if (copy == NULL) return lp_fail_memory(err, text.size + 1);
    if (text.size > 0) memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    entry->text = copy;
    entry->bytes = (uint32_t)text.size;
    return LP_OK;
}

enum lp_code lp_top_add(struct lp_top *top, struct lp_span text, uint64_t hash, uint64_t count, double sum,
                        struct lp_error *err)
{
    if (text.size > LP_TOP_TEXT_MAX_BYTES) return LP_OK;
    if (top->capacity == 0) LP_TRY(grow(top, err));
    uint32_t slot = find_slot(top, hash);
    if (top->table[slot] != 0) {
        struct lp_top_entry *entry = &top->entries[top->table[slot] - 1];
        entry->count += count;
        entry->sum += sum;
        sink(top, entry->heap);
        return LP_OK;
    }
    if (top->count == top->capacity && top->capacity < LP_TOP_ENTRIES) {
        LP_TRY(grow(top, err));
        slot = find_slot(top, hash);
    }
    if (top->count < top->capacity) {
        struct lp_top_entry *entry = &top->entries[top->count];
        *entry = (struct lp_top_entry){0};
        LP_TRY(set_text(entry, text, err));
        entry->hash = hash;
        entry->count = count;
        entry->sum = sum;
        top->table[slot] = ++top->count;
        top->heap[top->count - 1] = top->count - 1;
        rise(top, top->count - 1);
        return LP_OK;
    }
    top->full = true;
    uint32_t rarest = top->heap[0];
    struct lp_top_entry *entry = &top->entries[rarest];
    uint64_t *seen = filter_of(top, hash);
    if (*seen + count <= entry->count) {
        *seen += count;
        return LP_OK;
    }
    /* The rarest makes room. */
    LP_TRY(set_text(entry, text, err));
    clear_slot(top, find_slot(top, entry->hash));
    uint64_t *left = filter_of(top, entry->hash);
    uint64_t before = *seen;
    if (entry->count > *left) *left = entry->count;
    entry->hash = hash;
    entry->error = before;
    entry->count = before + count;
    entry->sum = sum;
    top->table[find_slot(top, hash)] = rarest + 1;
    sink(top, 0);
    return LP_OK;
}

static int by_count(const void *a, const void *b)
{
    const struct lp_top_entry *x = *(const struct lp_top_entry *const *)a, *y = *(const struct lp_top_entry *const *)b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return strcmp(x->text, y->text);
}

const struct lp_top_entry **lp_top_sorted(const struct lp_top *top)
{
    const struct lp_top_entry **sorted = calloc((size_t)top->count + 1, sizeof *sorted);
    if (sorted == NULL) return NULL;
    for (uint32_t i = 0; i < top->count; i++) sorted[i] = &top->entries[i];
    qsort(sorted, top->count, sizeof *sorted, by_count);
    return sorted;
}
