/* From a category's text to its index: open addressing over FNV-1a 64. Private to clean/. */
#ifndef LP_CLEAN_VOCABULARY_H
#define LP_CLEAN_VOCABULARY_H

#include "core/error.h"
#include "core/hash.h"
#include "core/span.h"

#include <stdint.h>

#define LP_VOCABULARY_UNKNOWN UINT32_MAX

struct lp_vocabulary_entry {
    uint64_t hash;
    const char *word; /* borrowed from the bundle; NULL: the slot is free */
    uint32_t word_bytes;
    uint32_t index;
};

struct lp_vocabulary {
    struct lp_vocabulary_entry *entries; /* owned, [mask + 1], at most half full */
    uint64_t mask;
};

/**
 * @param words     borrowed for the vocabulary's life, [count]
 * @param ret_bytes heap taken
 * @return LP_OK; LP_E_INVALID for a word that occurs twice; LP_E_LIMIT; LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_vocabulary_init(struct lp_vocabulary *vocabulary, const char *const *words, uint32_t count,
                                            size_t *ret_bytes, struct lp_error *err);
void lp_vocabulary_done(struct lp_vocabulary *vocabulary);

/** Index of a text, or LP_VOCABULARY_UNKNOWN. Probes are bounded because half of the slots are free. */
static inline uint32_t lp_vocabulary_find(const struct lp_vocabulary *vocabulary, struct lp_span text)
{
    uint64_t hash = lp_fnv1a64(text);
    for (uint64_t slot = hash;; slot++) {
        const struct lp_vocabulary_entry *entry = &vocabulary->entries[slot & vocabulary->mask];
        if (entry->word == NULL) return LP_VOCABULARY_UNKNOWN;
        if (entry->hash == hash && entry->word_bytes == text.size &&
            (text.size == 0 || memcmp(entry->word, text.data, text.size) == 0))
            return entry->index;
    }
}

#endif
