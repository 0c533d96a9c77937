#include "clean/vocabulary.h"

#include <stdlib.h>

enum { WORDS_MAX = 1 << 28 };

static enum lp_code insert(struct lp_vocabulary *vocabulary, const char *word, uint32_t index, struct lp_error *err)
{
    struct lp_span text = lp_span_text(word);
    uint64_t hash = lp_fnv1a64(text);
    if (text.size > UINT32_MAX) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "vocabulary: entry %u is too long", index);
    uint64_t slot = hash & vocabulary->mask;
    for (; vocabulary->entries[slot].word != NULL; slot = (slot + 1) & vocabulary->mask) {
        if (vocabulary->entries[slot].hash == hash && strcmp(vocabulary->entries[slot].word, word) == 0)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "vocabulary: entries %u and %u are the same word: remove one",
                           vocabulary->entries[slot].index, index);
    }
    vocabulary->entries[slot] =
        (struct lp_vocabulary_entry){.hash = hash, .word = word, .word_bytes = (uint32_t)text.size, .index = index};
    return LP_OK;
}

enum lp_code lp_vocabulary_init(struct lp_vocabulary *vocabulary, const char *const *words, uint32_t count,
                                size_t *ret_bytes, struct lp_error *err)
{
    *vocabulary = (struct lp_vocabulary){0};
    if (count > WORDS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "vocabulary: %u words, at most %d are allowed", count, WORDS_MAX);
    size_t slots = 4;
    while (slots < (size_t)count * 2) slots *= 2;
    vocabulary->entries = calloc(slots, sizeof *vocabulary->entries);
    if (vocabulary->entries == NULL) return lp_fail_memory(err, slots * sizeof *vocabulary->entries);
    vocabulary->mask = slots - 1;
    for (uint32_t i = 0; i < count; i++) {
        enum lp_code rc = insert(vocabulary, words[i], i, err);
        if (rc != LP_OK) {
            lp_vocabulary_done(vocabulary);
            return rc;
        }
    }
    *ret_bytes = slots * sizeof *vocabulary->entries;
    return LP_OK;
}

void lp_vocabulary_done(struct lp_vocabulary *vocabulary)
{
    free(vocabulary->entries);
    *vocabulary = (struct lp_vocabulary){0};
}
