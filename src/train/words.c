#include "train/words.h"

#include "core/hash.h"

#include <stdlib.h>
#include <string.h>

void lp_words_init(struct lp_words *words, uint32_t max) { *words = (struct lp_words){.max = max}; }

void lp_words_done(struct lp_words *words)
{
    for (uint32_t i = 0; i < words->count; i++) free(words->texts[i]);
    free(words->texts);
    free(words->slots);
    *words = (struct lp_words){.max = words->max};
}

static uint32_t find_slot(const struct lp_words *words, struct lp_span text)
{
    uint32_t mask = words->slot_count - 1, at = (uint32_t)(lp_fnv1a64(text) >> 20) & mask;
    for (; words->slots[at] != 0; at = (at + 1) & mask) {
        const char *word = words->texts[words->slots[at] - 1];
        if (strlen(word) == text.size && memcmp(word, text.data, text.size) == 0) break;
    }
    return at;
}

/* Twice the room; at most half of the slots are taken. */
static enum lp_code grow(struct lp_words *words, struct lp_error *err)
{
    uint32_t capacity = words->capacity * 2 + 32, slot_count = 64;
    while (slot_count < 2 * capacity) slot_count *= 2;
    char **texts = realloc(words->texts, capacity * sizeof *texts);
    if (texts != NULL) words->texts = texts;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (texts == NULL || slots == NULL) {
        free(slots);
        return lp_fail_memory(err, slot_count * sizeof *slots);
    }
    free(words->slots);
    words->slots = slots;
    words->slot_count = slot_count;
    words->capacity = capacity;
    for (uint32_t i = 0; i < words->count; i++) slots[find_slot(words, lp_span_text(texts[i]))] = i + 1;
    return LP_OK;
}

enum lp_code lp_words_take(struct lp_words *words, struct lp_span text, uint32_t *ret_number, struct lp_error *err)
{
    if (words->count == words->capacity) LP_TRY(grow(words, err));
    uint32_t at = find_slot(words, text);
    if (words->slots[at] == 0) {
        if (words->count == words->max) {
            words->full = true;
            *ret_number = UINT32_MAX;
            return LP_OK;
        }
        char *copy = strndup(text.size > 0 ? (const char *)text.data : "", text.size);
        if (copy == NULL) return lp_fail_memory(err, text.size);
        words->texts[words->count] = copy;
        words->slots[at] = ++words->count;
    }
    *ret_number = words->slots[at] - 1;
    return LP_OK;
}
