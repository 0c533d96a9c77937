/* Texts as hashed n-grams, times as parts of a date, numbers as buckets. */
#include "clean/cleaner.h"

#include "core/utf8.h"

#include <math.h>
#include <string.h>

enum { NGRAMS_MAX = 8, DAY_MS = 86400000, YEAR_DAYS_MAX = 366 };

/* 0001-01-01 to 9999-12-31: what a date can say. */
static const double time_low_ms = -62135596800000, time_high_ms = 253402300800000;

static enum lp_code refuse_missing(const struct lp_clean_feature *f, struct lp_clean_counts *counts,
                                   struct lp_error *err)
{
    counts->rejected++;
    return lp_fail_field(err, LP_E_REFUSED, LP_SKIP_RECORD, f->spec->name, "feature %s (from %s): missing",
                         f->spec->name, f->spec->from);
}

/* --- buckets --- */

void lp_clean_bucket(const struct lp_feature *spec, double value, double *row)
{
    uint32_t columns = spec->bucket_edge_count + 1;
    if (isnan(value)) {
        for (uint32_t i = 0; i < columns; i++) row[i] = NAN;
        return;
    }
    uint32_t low = 0, high = spec->bucket_edge_count;
    while (low < high) { /* how many edges are not above the value */
        uint32_t middle = low + (high - low) / 2;
        if (spec->bucket_edges[middle] <= value) low = middle + 1;
        else high = middle;
    }
    memset(row, 0, columns * sizeof *row);
    row[low] = 1.0;
}

/* --- texts --- */

/* The next token: a character, or a run of ASCII letters, digits and whatever is not ASCII. data NULL at the end. */
static struct lp_span next_token(const struct lp_feature *spec, struct lp_span *rest)
{
    const unsigned char *p = rest->data, *end = rest->data + rest->size;
    if (spec->ngram_characters) {
        size_t bytes = p < end ? lp_utf8_sequence(p, (size_t)(end - p)) : 0;
        if (p < end && bytes == 0) bytes = 1; /* decode has refused such a text */
        *rest = lp_span_of(p + bytes, (size_t)(end - p) - bytes);
        return p < end ? lp_span_of(p, bytes) : (struct lp_span){0};
    }
    while (p < end && *p < 0x80 && !(((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || (*p >= '0' && *p <= '9'))) p++;
    const unsigned char *begin = p;
    while (p < end && (*p >= 0x80 || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || (*p >= '0' && *p <= '9'))) p++;
    *rest = lp_span_of(p, (size_t)(end - p));
    return p > begin ? lp_span_of(begin, (size_t)(p - begin)) : (struct lp_span){0};
}

/* ASCII letters become small; words of an n-gram have one blank between them. */
static uint64_t add_token(uint64_t hash, struct lp_span token)
{
    for (size_t i = 0; i < token.size; i++) {
        unsigned char c = token.data[i];
        hash = lp_fnv1a64_add(hash, c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c);
    }
    return hash;
}

static void count_ngrams(const struct lp_feature *spec, struct lp_span text, double *row)
{
    struct lp_span tokens[NGRAMS_MAX]; /* the last ones, oldest first */
    uint32_t count = 0;
    for (struct lp_span token; (token = next_token(spec, &text)).data != NULL;) {
        if (count == spec->ngram_high) memmove(tokens, tokens + 1, --count * sizeof *tokens);
        tokens[count++] = token;
        for (uint32_t n = spec->ngram_low; n <= count; n++) { /* those that end here */
            uint64_t hash = LP_FNV1A64_START;
            for (uint32_t i = count - n; i < count; i++) {
                if (i > count - n && !spec->ngram_characters) hash = lp_fnv1a64_add(hash, ' ');
                hash = add_token(hash, tokens[i]);
            }
            row[hash % spec->vocabulary_count] += 1.0;
        }
    }
}

enum lp_code lp_clean_text(const struct lp_clean_feature *f, struct lp_span text, double *row, double *observed,
                           struct lp_clean_counts *counts, uint32_t *missing_count, struct lp_error *err)
{
    const struct lp_feature *spec = f->spec;
    bool missing = text.data == NULL;
    counts->missing += missing;
    *missing_count += missing;
    if (missing && spec->missing == LP_MISSING_REJECT) return refuse_missing(f, counts, err);
    if (observed != NULL) *observed = NAN;
    memset(row, 0, f->columns * sizeof *row);
    if (f->indicator) row[f->columns] = missing ? 1.0 : 0.0;
    if (missing) {
        for (uint32_t i = 0; spec->missing == LP_MISSING_KEEP && i < f->columns; i++) row[i] = NAN;
        return LP_OK;
    }
    count_ngrams(spec, text, row);
    if (!spec->ngram_unit_length) return LP_OK;
    double square = 0;
    for (uint32_t i = 0; i < f->columns; i++) square += row[i] * row[i];
    double length = sqrt(square);
    for (uint32_t i = 0; square > 0 && i < f->columns; i++) row[i] /= length;
    return LP_OK;
}

/* --- times --- */

struct date {
    int month, year_day, weekday; /* all from 0; Monday is 0 */
    double day_part;              /* 0 to below 1 */
};

/* Days since 1970 to the civil date (H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days). */
static struct date date_of(double ms)
{
    static const short month_begins[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    double whole = floor(ms / DAY_MS);
    int64_t days = (int64_t)whole, z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * from_march + 2) / 153, day = from_march - (153 * march_month + 2) / 5;
    int month = (int)(march_month < 10 ? march_month + 2 : march_month - 10);
    int64_t year = year_of_era + era * 400 + (month <= 1);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return (struct date){.month = month,
                         .year_day = month_begins[month] + (leap && month > 1) + (int)day,
                         .weekday = (int)(((days + 3) % 7 + 7) % 7),
                         .day_part = (ms - whole * DAY_MS) / DAY_MS};
}

static double *put_circle(double *row, double part)
{
    row[0] = sin(2 * M_PI * part);
    row[1] = cos(2 * M_PI * part);
    return row + 2;
}

static double *put_one(double *row, int one, uint32_t columns)
{
    memset(row, 0, columns * sizeof *row);
    row[one] = 1.0;
    return row + columns;
}

static void put_parts(const struct lp_feature *spec, double ms, double *row)
{
    const struct date date = date_of(ms);
    if (spec->time_parts[LP_TIME_HOUR]) row = put_circle(row, date.day_part);
    if (spec->time_parts[LP_TIME_WEEKDAY]) row = put_one(row, date.weekday, 7);
    if (spec->time_parts[LP_TIME_WEEKEND]) *row++ = date.weekday >= 5;
    if (spec->time_parts[LP_TIME_MONTH]) row = put_one(row, date.month, 12);
    if (spec->time_parts[LP_TIME_SEASON]) put_circle(row, (date.year_day + date.day_part) / YEAR_DAYS_MAX);
}

enum lp_code lp_clean_time(const struct lp_clean_feature *f, double ms, double *row, double *observed,
                           struct lp_clean_counts *counts, uint32_t *missing_count, struct lp_error *err)
{
    const struct lp_feature *spec = f->spec;
    bool missing = !(ms >= time_low_ms && ms < time_high_ms);
    counts->missing += missing;
    *missing_count += missing;
    if (missing && spec->missing == LP_MISSING_REJECT) return refuse_missing(f, counts, err);
    if (observed != NULL) *observed = NAN;
    if (f->indicator) row[f->columns] = missing ? 1.0 : 0.0;
    for (uint32_t i = 0; missing && spec->missing == LP_MISSING_KEEP && i < f->columns; i++) row[i] = NAN;
    if (missing && spec->missing == LP_MISSING_KEEP) return LP_OK;
    double used = missing ? spec->missing_value : ms;
    /* A fill outside the calendar is brought to its nearest end. */
    put_parts(spec, fmin(fmax(used, time_low_ms), time_high_ms - 1), row);
    return LP_OK;
}
