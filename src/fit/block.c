/* Up to block_rows records, column by column. */
#include "core/buffer.h"
#include "core/hash.h"
#include "fit/private.h"
#include "fit/sort.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a block knows about a column of numbers. */
struct numbers {
    double *values; /* in the block's: [width][stride] as they came; after _finish the first `count`, roughly sorted */
    uint32_t count;
    uint64_t missing, infinite_low, infinite_high;
    struct lp_moments moments;
    struct lp_comoments with_label, missing_label;
    bool whole, whole_days;
    uint32_t value_count;
    struct lp_fit_value found[LP_FIT_VALUES_MAX];
};

struct word {
    uint64_t hash;
    size_t begin; /* in `bytes` */
    uint32_t size, count;
    double sum;
};

/* ... of texts: the different ones, each once. */
struct texts {
    struct word *words; /* [block_rows] */
    uint32_t word_count;
    uint32_t *table; /* word + 1 by hash; 0: free */
    struct lp_buffer bytes;
    uint64_t missing, text_bytes, text_words, text_max_bytes;
};

struct lp_fit_block {
    const struct lp_fit_pass *pass;
    uint32_t rows, capacity, table_mask;
    uint32_t stride;              /* doubles from column to column */
    double *values;               /* by slot: [number_count][stride] */
    double *labels;               /* [capacity]; NULL: none is a number */
    double *pairs;                /* [2 * capacity]: values and labels side by side */
    uint64_t *row_hashes;         /* [capacity] */
    uint64_t *scratch;            /* for sorting */
    struct numbers *numbers;      /* by want; unused for texts */
    struct texts *texts;          /* by want; unused for numbers */
    struct lp_distinct *distinct; /* by want; of all blocks so far: merging it again changes nothing */
};

static bool is_text(const struct lp_want *want) { return want->type == LP_WANT_TEXT; }

enum {
    TEXTS_MAX_BYTES = 1 << 30,
    SKEW_DOUBLES = 8, /* a cache line: columns that begin at multiples of a page would push each other out */
};

static enum lp_code take_want(struct lp_fit_block *block, uint32_t index, struct lp_error *err)
{
    const struct lp_want *want = &block->pass->wants[index];
    if (is_text(want)) {
        struct texts *texts = &block->texts[index];
        lp_buffer_init(&texts->bytes, TEXTS_MAX_BYTES);
        texts->words = calloc(block->capacity, sizeof *texts->words);
        texts->table = calloc((size_t)block->table_mask + 1, sizeof *texts->table);
        if (texts->words != NULL && texts->table != NULL) return LP_OK;
        return lp_fail_memory(err, (size_t)block->table_mask * sizeof *texts->table);
    }
    block->numbers[index].values = block->values + (size_t)want->slot * block->stride;
    return LP_OK;
}

enum lp_code lp_fit_block_new(const struct lp_fit_pass *pass, struct lp_fit_block **ret_block, struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    uint32_t widest = 1;
    struct lp_fit_block *block = calloc(1, sizeof *block);
    if (block == NULL) return lp_fail_memory(err, sizeof *block);
    block->pass = pass;
    block->capacity = pass->block_rows;
    for (block->table_mask = 1; block->table_mask < block->capacity * 2;) block->table_mask *= 2;
    block->table_mask--;
    block->stride = block->capacity + SKEW_DOUBLES;
    for (uint32_t i = 0; i < pass->want_count; i++)
        if (pass->wants[i].width > widest) widest = pass->wants[i].width;
    size_t cells = (size_t)block->capacity * widest;
    block->values = calloc((size_t)block->stride * pass->number_count + 1, sizeof *block->values);
    block->numbers = calloc(pass->want_count, sizeof *block->numbers);
    block->texts = calloc(pass->want_count, sizeof *block->texts);
    block->distinct = calloc(pass->want_count, sizeof *block->distinct);
    block->row_hashes = calloc(block->capacity, sizeof *block->row_hashes);
    block->labels = calloc(block->capacity, sizeof *block->labels);
    block->pairs = calloc(2 * cells, sizeof *block->pairs);
    block->scratch = calloc(2 * cells, sizeof *block->scratch);
    if (block->values == NULL || block->numbers == NULL || block->texts == NULL || block->distinct == NULL ||
        block->row_hashes == NULL || block->labels == NULL || block->pairs == NULL || block->scratch == NULL)
        LP_GUARD(lp_fail_memory(err, ((size_t)block->stride * pass->number_count + cells * 6) * sizeof(double)));
    for (uint32_t i = 0; i < pass->want_count; i++) LP_GUARD(take_want(block, i, err));
    *ret_block = block;
    return LP_OK;
out:
    lp_fit_block_free(block);
    return rc;
}

void lp_fit_block_free(struct lp_fit_block *block)
{
    if (block == NULL) return;
    for (uint32_t i = 0; i < block->pass->want_count; i++) {
        if (block->texts == NULL) continue;
        free(block->texts[i].words);
        free(block->texts[i].table);
        lp_buffer_done(&block->texts[i].bytes);
    }
    free(block->values);
    free(block->numbers);
    free(block->texts);
    free(block->distinct);
    free(block->row_hashes);
    free(block->labels);
    free(block->pairs);
    free(block->scratch);
    free(block);
}

void lp_fit_block_clear(struct lp_fit_block *block)
{
    block->rows = 0;
    for (uint32_t i = 0; i < block->pass->want_count; i++) {
        if (!is_text(&block->pass->wants[i])) continue;
        struct texts *texts = &block->texts[i];
        memset(texts->table, 0, ((size_t)block->table_mask + 1) * sizeof *texts->table);
        lp_buffer_clear(&texts->bytes);
        texts->word_count = 0;
        texts->missing = texts->text_bytes = texts->text_words = texts->text_max_bytes = 0;
    }
}

bool lp_fit_block_is_full(const struct lp_fit_block *block) { return block->rows == block->capacity; }

/* --- adding records --- */

static uint64_t count_words(struct lp_span text)
{
    uint64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < text.size; i++) {
        bool blank = text.data[i] <= ' ';
        words += !blank && !inside;
        inside = !blank;
    }
    return words;
}

static void add_text(struct lp_fit_block *block, uint32_t want, struct lp_span text, double label, uint64_t *row_hash)
{
    struct texts *texts = &block->texts[want];
    if (text.data == NULL) {
        texts->missing++;
        *row_hash = lp_mix64(*row_hash ^ (want + 1));
        return;
    }
    uint64_t hash = lp_mix64(lp_fnv1a64(text));
    *row_hash = lp_mix64(*row_hash + hash);
    texts->text_bytes += text.size;
    if (text.size > texts->text_max_bytes) texts->text_max_bytes = text.size;
    texts->text_words += count_words(text);
    uint32_t slot = (uint32_t)hash & block->table_mask;
    while (texts->table[slot] != 0 && texts->words[texts->table[slot] - 1].hash != hash)
        slot = (slot + 1) & block->table_mask;
    if (texts->table[slot] == 0) {
        texts->words[texts->word_count] = (struct word){hash, texts->bytes.size, (uint32_t)text.size, 0, 0};
        texts->table[slot] = ++texts->word_count;
        /* Longer ones are counted, but no entry of the top takes them. */
        if (text.size <= LP_TOP_TEXT_MAX_BYTES) lp_buffer_append(&texts->bytes, text.data, text.size);
        lp_distinct_add(&block->distinct[want], hash);
    }
    struct word *word = &texts->words[texts->table[slot] - 1];
    word->count++;
    word->sum += label;
}

/* The label as a number, 0 where it has none; false: it is missing. */
static bool take_label(const struct lp_fit_pass *pass, const struct lp_record *record, double *ret_label)
{
    *ret_label = 0;
    if (pass->label_want < 0) return true;
    const struct lp_want *want = &pass->wants[pass->label_want];
    if (!is_text(want)) {
        *ret_label = record->numbers[want->slot];
        return isfinite(*ret_label);
    }
    struct lp_span text = record->texts[want->slot];
    if (pass->positive != NULL) *ret_label = lp_span_is(text, pass->positive);
    return text.data != NULL;
}

enum lp_code lp_fit_block_add(struct lp_fit_block *block, const struct lp_record *record, struct lp_error *err)
{
    const struct lp_fit_pass *pass = block->pass;
    uint32_t row = block->rows;
    uint64_t row_hash = 0;
    if (!take_label(pass, record, &block->labels[row]))
        return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, pass->options->label, "%s: the label is missing",
                             pass->options->label);
    for (uint32_t i = 0; pass->text_count > 0 && i < pass->want_count; i++)
        if (is_text(&pass->wants[i]))
            add_text(block, i, record->texts[pass->wants[i].slot], block->labels[row], &row_hash);
    block->row_hashes[row] = row_hash;
    double *to = block->values + row;
    for (uint32_t slot = 0; slot < pass->number_count; slot++, to += block->stride) *to = record->numbers[slot];
    block->rows++;
    return LP_OK;
}

/* --- finishing --- */

/* Each value's hash into its record's, and the finite ones' into the sketch of how many there are; all are finite? */
static bool hash_values(struct lp_fit_block *block, const double *values, struct lp_distinct *distinct)
{
    bool finite = true;
    for (uint32_t row = 0; row < block->rows; row++) {
        uint64_t hash = lp_hash_number(values[row]);
        block->row_hashes[row] = block->row_hashes[row] * UINT64_C(0x9e3779b97f4a7c15) + hash;
        if (__builtin_isfinite(values[row])) lp_distinct_add(distinct, hash);
        else finite = false;
    }
    return finite;
}

/* Finite values to the front; the others are counted. */
static void gather(struct lp_fit_block *block, struct numbers *n, uint32_t width, struct lp_distinct *distinct)
{
    n->count = 0;
    n->missing = n->infinite_low = n->infinite_high = 0;
    for (uint32_t k = 0; k < width; k++) {
        const double *from = n->values + (size_t)k * block->stride;
        if (hash_values(block, from, distinct)) {
            if (n->values + n->count != from) memmove(n->values + n->count, from, block->rows * sizeof *from);
            n->count += block->rows;
            continue;
        }
        for (uint32_t row = 0; row < block->rows; row++) {
            double value = from[row];
            n->values[n->count] = value;
            n->count += __builtin_isfinite(value) != 0;
            n->infinite_low += value == -INFINITY;
            n->infinite_high += value == INFINITY;
        }
    }
}

static uint64_t missing_rows(const struct lp_fit_block *block, const struct numbers *n, uint32_t width)
{
    uint64_t missing = 0;
    for (uint32_t row = 0; row < block->rows; row++) {
        bool any = false;
        for (uint32_t k = 0; k < width; k++) any |= isnan(n->values[(size_t)k * block->stride + row]) != 0;
        missing += any;
    }
    return missing;
}

/* Pairs with the label, before sorting takes the values away from it. */
static void correlate(struct lp_fit_block *block, struct numbers *n)
{
    uint32_t count = 0;
    double *x = block->pairs, *y = block->pairs + block->capacity;
    n->with_label.count = n->missing_label.count = 0;
    for (uint32_t row = 0; row < block->rows; row++) {
        x[count] = n->values[row];
        y[count] = block->labels[row];
        count += __builtin_isfinite(n->values[row]) != 0;
    }
    if (count > 0) lp_comoments_of(x, y, count, &n->with_label);
    if (count == block->rows) { /* none is missing: the label's own sums are known by now */
        n->missing_label = n->with_label;
        n->missing_label.shift_x = 0;
        n->missing_label.offset_x = n->missing_label.m2_x = n->missing_label.m_xy = 0;
        return;
    }
    for (uint32_t row = 0; row < block->rows; row++) x[row] = isnan(n->values[row]) != 0;
    lp_comoments_of(x, block->labels, block->rows, &n->missing_label);
}

/* One more of a value that belongs near the end of the list; past LP_FIT_VALUES_MAX there are too many. */
static void count_value(struct numbers *n, double value, uint32_t count)
{
    uint32_t at = n->value_count;
    if (n->value_count > LP_FIT_VALUES_MAX) return;
    while (at > 0 && n->found[at - 1].value > value) at--;
    if (at > 0 && n->found[at - 1].value == value) {
        n->found[at - 1].count += count;
        return;
    }
    if (++n->value_count > LP_FIT_VALUES_MAX) return;
    memmove(n->found + at + 1, n->found + at, (n->value_count - 1 - at) * sizeof *n->found);
    n->found[at] = (struct lp_fit_value){value, count};
}

/* What roughly sorted values tell: how many there are of each, and whether all are whole. */
static void count_values(struct numbers *n)
{
    uint32_t begin = 0;
    bool whole = true, days = true;
    n->value_count = 0;
    /* Of fractions there is soon nothing left to find out. */
    for (uint32_t i = 1; i <= n->count && (whole || days || n->value_count <= LP_FIT_VALUES_MAX); i++) {
        double value = n->values[begin];
        if (i < n->count && n->values[i] == value) continue;
        days = days && fmod(value, 86400e3) == 0;
        whole = whole && (fabs(value) >= 9007199254740992.0 || (double)(int64_t)value == value);
        count_value(n, value, i - begin);
        begin = i;
    }
    n->whole = whole;
    n->whole_days = days;
}

void lp_fit_block_finish(struct lp_fit_block *block)
{
    const struct lp_fit_pass *pass = block->pass;
    for (uint32_t i = 0; i < pass->want_count; i++) {
        const struct lp_want *want = &pass->wants[i];
        if (is_text(want)) continue;
        struct numbers *n = &block->numbers[i];
        uint64_t missing = want->width > 1 ? missing_rows(block, n, want->width) : 0;
        if (pass->label_want >= 0 && want->width == 1) correlate(block, n);
        gather(block, n, want->width, &block->distinct[i]);
        uint64_t absent = (uint64_t)block->rows * want->width - n->count - n->infinite_low - n->infinite_high;
        n->missing = want->width > 1 ? missing : absent;
        n->moments.count = 0;
        if (n->count == 0) continue;
        lp_moments_of(n->values, n->count, &n->moments);
        lp_sort_roughly(n->values, block->scratch, n->count, n->moments.min, n->moments.max);
        count_values(n);
    }
    for (uint32_t row = 0; row < block->rows; row++) block->row_hashes[row] = lp_mix64(block->row_hashes[row]);
}

/* --- merging --- */

/* Both lists are sorted; past LP_FIT_VALUES_MAX there are too many. */
static void merge_values(struct lp_fit_column *column, const struct numbers *n)
{
    struct lp_fit_value merged[LP_FIT_VALUES_MAX];
    uint32_t i = 0, k = 0, count = 0;
    if (column->value_count > LP_FIT_VALUES_MAX) return;
    if (n->value_count > LP_FIT_VALUES_MAX) {
        column->value_count = LP_FIT_VALUES_MAX + 1;
        return;
    }
    while (i < column->value_count || k < n->value_count) {
        if (count == LP_FIT_VALUES_MAX) {
            column->value_count = LP_FIT_VALUES_MAX + 1;
            return;
        }
        bool mine = k == n->value_count || (i < column->value_count && column->values[i].value <= n->found[k].value);
        bool other = i == column->value_count || (k < n->value_count && n->found[k].value <= column->values[i].value);
        struct lp_fit_value value = {mine ? column->values[i].value : n->found[k].value, 0};
        if (mine) value.count += column->values[i++].count;
        if (other) value.count += n->found[k++].count;
        merged[count++] = value;
    }
    memcpy(column->values, merged, count * sizeof *merged);
    column->value_count = count;
}

static enum lp_code merge_numbers(struct lp_fit_block *block, uint32_t want, struct lp_fit_column *column,
                                  struct lp_error *err)
{
    struct numbers *n = &block->numbers[want];
    column->missing += n->missing;
    column->seen += n->count + n->infinite_low + n->infinite_high;
    column->infinite_low += n->infinite_low;
    column->infinite_high += n->infinite_high;
    if (block->pass->label_want >= 0) {
        lp_comoments_merge(&column->with_label, &n->with_label);
        lp_comoments_merge(&column->missing_label, &n->missing_label);
    }
    if (n->count == 0) return LP_OK;
    lp_moments_merge(&column->moments, &n->moments);
    column->whole &= n->whole;
    column->whole_days &= n->whole_days;
    merge_values(column, n);
    lp_distinct_merge(column->distinct, &block->distinct[want]);
    return lp_quantiles_add_sorted(&column->quantiles, n->values, n->count, err);
}

static enum lp_code merge_texts(struct lp_fit_block *block, uint32_t want, struct lp_fit_column *column,
                                struct lp_error *err)
{
    const struct texts *texts = &block->texts[want];
    column->missing += texts->missing;
    column->text_bytes += texts->text_bytes;
    column->text_words += texts->text_words;
    if (texts->text_max_bytes > column->text_max_bytes) column->text_max_bytes = texts->text_max_bytes;
    LP_TRY(lp_buffer_check(&texts->bytes, "the texts of a block", err));
    for (uint32_t i = 0; i < texts->word_count; i++) {
        const struct word *word = &texts->words[i];
        column->seen += word->count;
        /* A column of empty texts only has taken no bytes at all. */
        struct lp_span text =
            word->size > 0 ? lp_span_of(texts->bytes.data + word->begin, word->size) : lp_span_text("");
        LP_TRY(lp_top_add(&column->top, text, word->hash, word->count, word->sum, err));
    }
    lp_distinct_merge(column->distinct, &block->distinct[want]);
    return LP_OK;
}

enum lp_code lp_fit_block_merge(struct lp_fit_block *block, struct lp_fit_pass *pass, struct lp_error *err)
{
    struct lp_fit *fit = pass->fit;
    for (uint32_t i = 0; i < pass->want_count; i++) {
        struct lp_fit_column *column = &fit->columns[pass->column_of_want[i]];
        if (is_text(&pass->wants[i])) LP_TRY(merge_texts(block, i, column, err));
        else LP_TRY(merge_numbers(block, i, column, err));
    }
    LP_TRY(lp_repeats_add(&pass->repeats, block->row_hashes, block->rows, err));
    fit->records += block->rows;
    return LP_OK;
}
