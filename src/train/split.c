#include "train/split.h"

#include "train/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t salt = UINT64_C(0x73706c6974000001);

enum lp_code lp_split_parse(const char *text, struct lp_split_rule *ret_rule, struct lp_error *err)
{
    static const struct {
        const char *prefix;
        enum lp_split_kind kind;
    } kinds[] = {{"last:", LP_SPLIT_LAST}, {"time:", LP_SPLIT_TIME}, {"group:", LP_SPLIT_GROUP}};
    struct lp_split_rule rule = {.kind = LP_SPLIT_RANDOM};
    const char *number = text;
    if (strcmp(text, "none") == 0 || strcmp(text, "0") == 0) {
        *ret_rule = (struct lp_split_rule){.kind = LP_SPLIT_NONE};
        return LP_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0) continue;
        rule.kind = kinds[i].kind;
        number = text + strlen(kinds[i].prefix);
    }
    char *end;
    double value = strtod(number, &end);
    if (end == number || *end != '\0' || !(value > 0) || value >= UINT32_MAX || (value >= 1 && value != floor(value)))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "`%.64s`: write none, a share (0.1), a number of rows (100), last:100, time:0.2 or group:0.2",
                       text);
    if (value < 1) rule.share = value;
    else rule.rows = (uint32_t)value;
    *ret_rule = rule;
    return LP_OK;
}

static uint32_t wanted_of(const struct lp_split_rule *rule, uint32_t count)
{
    return rule->rows > 0 ? rule->rows : (uint32_t)lround(rule->share * count);
}

static void shuffle(uint32_t *order, uint32_t count, uint64_t seed)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = lp_train_below(&seed, i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

/* Marks `wanted` rows in a random order, of each class its share rounded down, the rest of any class. */
static enum lp_code mark_random(const struct lp_split_rows *rows, uint32_t wanted, unsigned char *valid,
                                struct lp_error *err)
{
    uint32_t n = rows->row_count, classes = rows->class_of != NULL ? rows->class_count : 1;
    uint32_t *order = calloc((size_t)n + 1, sizeof *order), *left = calloc((size_t)classes + 1, sizeof *left);
    if (order == NULL || left == NULL) {
        free(order);
        free(left);
        return lp_fail_memory(err, n * sizeof *order);
    }
    uint32_t given = 0;
    for (uint32_t r = 0; r < n; r++) {
        order[r] = r;
        left[rows->class_of != NULL ? rows->class_of[r] : 0]++;
    }
    for (uint32_t c = 0; c < classes; c++) given += left[c] = (uint32_t)((uint64_t)left[c] * wanted / n);
    shuffle(order, n, rows->seed ^ salt);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t class = rows->class_of != NULL ? rows->class_of[order[i]] : 0;
        if (left[class] == 0) continue;
        left[class]--;
        valid[order[i]] = 1;
    }
    for (uint32_t i = 0; i < n && given < wanted; i++) {
        if (valid[order[i]]) continue;
        valid[order[i]] = 1;
        given++;
    }
    free(order);
    free(left);
    return LP_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum lp_code mark_time(const struct lp_split_rows *rows, uint32_t wanted, unsigned char *valid,
                              struct lp_error *err)
{
    uint32_t n = rows->row_count;
    if (rows->time == NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "a split by time needs the time: --time COLUMN");
    double *sorted = malloc((n + 1) * sizeof *sorted);
    if (sorted == NULL) return lp_fail_memory(err, n * sizeof *sorted);
    memcpy(sorted, rows->time, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    double first = sorted[n - wanted];
    for (uint32_t r = 0; r < n; r++) valid[r] = rows->time[r] >= first;
    free(sorted);
    return LP_OK;
}

static uint64_t group_hash(uint64_t seed, uint32_t group)
{
    uint64_t state = seed ^ salt ^ (uint64_t)group * UINT64_C(0x9e3779b97f4a7c15);
    return lp_train_random(&state);
}

static enum lp_code mark_groups(const struct lp_split_rows *rows, const struct lp_split_rule *rule,
                                unsigned char *valid, struct lp_error *err)
{
    double share = rule->rows > 0 ? (double)rule->rows / rows->row_count : rule->share;
    if (rows->group == NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "a split by group needs the group: --group COLUMN");
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t r = 0; r < rows->row_count; r++) {
        uint64_t hash = group_hash(rows->seed, rows->group[r]);
        low = hash < low ? hash : low;
        high = hash > high ? hash : high;
    }
    /* Of few groups a share may hold none, or all: one validates in any case, and one is learned from. */
    for (uint32_t r = 0; r < rows->row_count; r++) {
        uint64_t hash = group_hash(rows->seed, rows->group[r]);
        valid[r] = hash == low || ((double)hash < share * 0x1p64 && hash != high);
    }
    return LP_OK;
}

static enum lp_code gather(const unsigned char *valid, uint32_t n, uint32_t **ret_order, uint32_t *ret_valid_count,
                           struct lp_error *err)
{
    uint32_t *order = malloc(((size_t)n + 1) * sizeof *order), at = 0, count = 0;
    if (order == NULL) return lp_fail_memory(err, n * sizeof *order);
    for (uint32_t r = 0; r < n; r++)
        if (!valid[r]) order[at++] = r;
    for (uint32_t r = 0; r < n; r++) {
        if (valid[r]) order[at++] = r;
        count += valid[r];
    }
    if (count == n) {
        free(order);
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "the validation part takes all %u rows: nothing is left to learn from", n);
    }
    *ret_order = order;
    *ret_valid_count = count;
    return LP_OK;
}

enum lp_code lp_split_run(const struct lp_split_rule *rule, const struct lp_split_rows *rows, uint32_t **ret_order,
                          uint32_t *ret_valid_count, struct lp_error *err)
{
    uint32_t n = rows->row_count, wanted = rule->kind != LP_SPLIT_NONE ? wanted_of(rule, n) : 0;
    if (wanted > n) wanted = n;
    unsigned char *valid = calloc((size_t)n + 1, 1);
    if (valid == NULL) return lp_fail_memory(err, n);
    enum lp_code rc = LP_OK;
    if (wanted > 0) switch (rule->kind) {
        case LP_SPLIT_NONE: break;
        case LP_SPLIT_LAST: memset(valid + (n - wanted), 1, wanted); break;
        case LP_SPLIT_RANDOM: rc = mark_random(rows, wanted, valid, err); break;
        case LP_SPLIT_TIME: rc = mark_time(rows, wanted, valid, err); break;
        case LP_SPLIT_GROUP: rc = mark_groups(rows, rule, valid, err); break;
        }
    if (rc == LP_OK) rc = gather(valid, n, ret_order, ret_valid_count, err);
    free(valid);
    return rc;
}

struct place {
    uint64_t hash;
    uint32_t group;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash)
                              : (x->group > y->group) - (x->group < y->group);
}

/* The groups' places in a random order, so that each fold has as many of them, give or take one. */
static enum lp_code place_groups(const struct lp_split_rows *rows, uint32_t fold_count, uint32_t **ret_places,
                                 struct lp_error *err)
{
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows->row_count; r++)
        if (rows->group[r] >= count) count = rows->group[r] + 1;
    if (count < fold_count)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%u folds of %u groups: a fold would be empty", fold_count, count);
    struct place *sorted = malloc(count * sizeof *sorted);
    uint32_t *places = malloc(count * sizeof *places);
    for (uint32_t g = 0; sorted != NULL && g < count; g++) sorted[g] = (struct place){group_hash(rows->seed, g), g};
    if (sorted != NULL) qsort(sorted, count, sizeof *sorted, compare_places);
    for (uint32_t i = 0; sorted != NULL && places != NULL && i < count; i++) places[sorted[i].group] = i;
    bool good = sorted != NULL && places != NULL;
    free(sorted);
    if (good) *ret_places = places;
    else free(places);
    return good ? LP_OK : lp_fail_memory(err, count * sizeof *sorted);
}

enum lp_code lp_split_fold(const struct lp_split_rows *rows, uint32_t fold, uint32_t fold_count, uint32_t **ret_order,
                           uint32_t *ret_valid_count, struct lp_error *err)
{
    uint32_t n = rows->row_count;
    unsigned char *valid = calloc((size_t)n + 1, 1);
    uint32_t *order = malloc(((size_t)n + 1) * sizeof *order), *seen = NULL, *places = NULL;
    uint32_t classes = rows->class_of != NULL ? rows->class_count : 1;
    seen = calloc((size_t)classes + 1, sizeof *seen);
    enum lp_code rc = LP_OK;
    if (valid == NULL || order == NULL || seen == NULL) LP_GUARD(lp_fail_memory(err, n * sizeof *order));
    if (rows->group != NULL) LP_GUARD(place_groups(rows, fold_count, &places, err));
    for (uint32_t r = 0; r < n; r++) order[r] = r;
    shuffle(order, n, rows->seed ^ salt);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t r = order[i], *count = &seen[rows->class_of != NULL ? rows->class_of[r] : 0];
        uint32_t part = (places != NULL ? places[rows->group[r]] : (*count)++) % fold_count;
        valid[r] = part == fold;
    }
    rc = gather(valid, n, ret_order, ret_valid_count, err);
out:
    free(valid);
    free(order);
    free(seen);
    free(places);
    return rc;
}
