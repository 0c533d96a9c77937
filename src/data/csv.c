/* CSV as RFC 4180 has it: where rows end, and what fields a row has. */
#include "data/private.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void lp_csv_split(struct lp_csv_split *split, const unsigned char *data, size_t size, bool at_end)
{
    size_t at = split->at;
    while (at < size) {
        const unsigned char *quote = memchr(data + at, '"', size - at);
        size_t stop = quote != NULL ? (size_t)(quote - data) : size;
        if (!split->quoted) {
            const unsigned char *newline = memrchr(data + at, '\n', stop - at);
            if (newline != NULL) split->end = (size_t)(newline - data) + 1;
            /* A quote opens only at the front of a field; elsewhere it is a mistake that stays inside its line. */
            if (quote != NULL) split->quoted = stop == 0 || data[stop - 1] == ',' || data[stop - 1] == '\n';
            at = stop + (quote != NULL);
            continue;
        }
        at = stop;
        if (quote == NULL) break;
        if (stop + 1 == size && !at_end) break; /* is it doubled? */
        bool doubled = stop + 1 < size && data[stop + 1] == '"';
        split->quoted = doubled;
        at = stop + 1 + doubled;
    }
    split->at = at;
    if (at_end) split->end = size;
}

/* --- rows --- */

/* Commas, newlines and quotes of 64 bytes, lowest bit first. */
static inline uint64_t find_marks(const unsigned char *p)
{
    uint64_t marks = 0;
#ifdef __SSE2__
    const __m128i comma = _mm_set1_epi8(','), newline = _mm_set1_epi8('\n'), quote = _mm_set1_epi8('"');
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i any = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, comma), _mm_cmpeq_epi8(bytes, newline)),
                                   _mm_cmpeq_epi8(bytes, quote));
        marks |= (uint64_t)(unsigned)_mm_movemask_epi8(any) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++) marks |= (uint64_t)(p[i] == ',' || p[i] == '\n' || p[i] == '"') << i;
#endif
    return marks;
}

/* Marks that are still to come in the 64 bytes from `base` on. */
struct scan {
    const unsigned char *base;
    uint64_t marks;
};

static inline void scan_from(struct scan *scan, const unsigned char *p)
{
    scan->base = p;
    scan->marks = find_marks(p);
}

/* The padding's newlines end every search. */
static inline const unsigned char *scan_next(struct scan *scan)
{
    while (scan->marks == 0) scan_from(scan, scan->base + 64);
    const unsigned char *mark = scan->base + __builtin_ctzll(scan->marks);
    scan->marks &= scan->marks - 1;
    return mark;
}

/* From behind the opening quote; returns the closing one, or `end`. */
static const unsigned char *find_close(const unsigned char *p, const unsigned char *end, bool *ret_escaped)
{
    *ret_escaped = false;
    for (;;) {
        const unsigned char *quote = memchr(p, '"', (size_t)(end - p));
        if (quote == NULL) return end;
        if (quote + 1 == end || quote[1] != '"') return quote;
        *ret_escaped = true;
        p = quote + 2;
    }
}

/* A field that begins with a quote; returns the comma or newline behind it. */
static const unsigned char *take_quoted(struct scan *scan, const unsigned char *p, const unsigned char *end,
                                        struct lp_csv_field *field, bool *malformed)
{
    bool escaped;
    const unsigned char *close = find_close(p + 1, end, &escaped), *behind = close + 1;
    *field = (struct lp_csv_field){p + 1, (uint32_t)(close - p - 1), true, escaped};
    if (close == end) {
        *malformed = true;
        return end;
    }
    if (behind < end && *behind == '\r') behind++;
    if (behind < end && *behind != ',' && *behind != '\n') *malformed = true;
    if (behind >= end) return end;
    /* The window of marks may begin past the padding of the last block, so it starts anew here. */
    scan_from(scan, behind);
    const unsigned char *mark = scan_next(scan);
    while (*mark == '"') mark = scan_next(scan);
    return mark;
}

/* Where 64 bytes have a sign. */
static inline uint64_t find_sign(const unsigned char *p, char sign)
{
    uint64_t found = 0;
#ifdef __SSE2__
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        found |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(sign))) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++) found |= (uint64_t)(p[i] == (unsigned char)sign) << i;
#endif
    return found;
}

/* The fields that commas end, before the first newline or quote of the row; returns the begin of the next one. */
static const unsigned char *take_plain(const unsigned char *p, struct lp_csv_field *fields, uint32_t capacity,
                                       uint32_t *ret_count)
{
    uint32_t count = 0;
    for (const unsigned char *base = p; count + LP_CSV_FIELDS_SPARE <= capacity; base += 64) {
        uint64_t stops = find_sign(base, '\n') | find_sign(base, '"'), commas = find_sign(base, ',') & (stops - 1);
        for (; commas != 0; commas &= commas - 1) {
            const unsigned char *mark = base + __builtin_ctzll(commas);
            fields[count++] = (struct lp_csv_field){p, (uint32_t)(mark - p), false, false};
            p = mark + 1;
        }
        if (stops != 0) break;
    }
    *ret_count = count;
    return p;
}

const unsigned char *lp_csv_row(const unsigned char *p, const unsigned char *end, struct lp_csv_field *fields,
                                uint32_t capacity, uint32_t *ret_count, bool *ret_malformed)
{
    struct scan scan;
    struct lp_csv_field spare;
    uint32_t count;
    bool malformed = false;
    p = take_plain(p, fields, capacity, &count);
    scan_from(&scan, p);
    for (;;) {
        struct lp_csv_field *field = count < capacity ? &fields[count] : &spare;
        const unsigned char *mark;
        if (*p == '"' && p < end) {
            mark = take_quoted(&scan, p, end, field, &malformed);
        } else {
            mark = scan_next(&scan);
            while (__builtin_expect(*mark == '"', 0)) {
                malformed = true;
                mark = scan_next(&scan);
            }
            if (mark > end) mark = end;
            size_t bytes = (size_t)(mark - p);
            /* The carriage return of \r\n, or of the last line. */
            if (*mark == '\n' && bytes > 0 && p[bytes - 1] == '\r') bytes--;
            *field = (struct lp_csv_field){p, (uint32_t)bytes, false, false};
        }
        count++;
        p = mark;
        if (mark >= end || *mark == '\n') break;
        p = mark + 1;
    }
    *ret_count = count;
    *ret_malformed = malformed;
    return p < end ? p + 1 : end;
}

void lp_csv_unescape(struct lp_csv_field *field)
{
    unsigned char *text = (unsigned char *)(uintptr_t)field->text; /* of the chunk, which is the cursor's to change */
    uint32_t used = 0;
    for (uint32_t i = 0; i < field->bytes; i++) {
        if (text[i] == '"') i++;
        text[used++] = text[i];
    }
    memset(text + used, '"', field->bytes - used);
    field->bytes = used;
    field->escaped = false;
}
