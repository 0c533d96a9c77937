/* Golden rows that the library itself computed. */
#include "import/import.h"

#include <math.h>
#include <string.h>

/* The library's floats, and links within 8 ULP of theirs. */
static const double relative = 1e-5, absolute = 1e-7;

static enum lp_code take_numbers(const struct lp_draft *draft, json_t *line, const char *key, json_t **ret_numbers,
                                 struct lp_error *err)
{
    json_t *value = json_object_get(line, key);
    if (value == NULL && draft->link == LP_LINK_IDENTITY)
        value = json_object_get(line, strcmp(key, "margin") == 0 ? "score" : "margin");
    json_t *numbers = json_is_number(value) ? json_pack("[O]", value) : json_incref(value);
    if (!json_is_array(numbers) || json_array_size(numbers) != draft->output_count) {
        json_decref(numbers);
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "`%s` must have %u numbers", key, draft->output_count);
    }
    *ret_numbers = numbers;
    return LP_OK;
}

static enum lp_code take_row(const struct lp_draft *draft, json_t *line, json_t *rows, struct lp_error *err)
{
    json_t *margin = NULL, *score = NULL, *record = json_object_get(line, "record");
    enum lp_code rc;
    if (!json_is_object(record)) return lp_fail(err, LP_E_INVALID, LP_FATAL, "`record` is not an object");
    LP_GUARD(take_numbers(draft, line, "margin", &margin, err));
    LP_GUARD(take_numbers(draft, line, "score", &score, err));
    if (json_array_append_new(rows, json_pack("{s:O, s:O, s:O}", "record", record, "margin", margin, "score", score)))
        rc = lp_fail_memory(err, 0);
out:
    json_decref(margin);
    json_decref(score);
    return rc;
}

static enum lp_code take_lines(const struct lp_draft *draft, struct lp_span lines, json_t *rows, struct lp_error *err)
{
    for (size_t at = 0, number = 1; at < lines.size; number++) {
        const unsigned char *begin = lines.data + at, *end = memchr(begin, '\n', lines.size - at);
        size_t size = end != NULL ? (size_t)(end - begin) : lines.size - at;
        at += size + 1;
        if (size == 0 || (size == 1 && begin[0] == '\r')) continue;
        if (json_array_size(rows) == LP_BUNDLE_INLINE_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d golden rows", LP_BUNDLE_INLINE_MAX);
        json_error_t why;
        json_t *line = json_loadb((const char *)begin, size, JSON_REJECT_DUPLICATES, &why);
        enum lp_code rc = line != NULL ? take_row(draft, line, rows, err)
                                       : lp_fail(err, LP_E_INVALID, LP_FATAL, "not JSON: %s", why.text);
        json_decref(line);
        if (rc != LP_OK) return lp_error_wrap(err, "golden line %zu", number);
    }
    if (json_array_size(rows) == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "no golden rows are in it");
    return LP_OK;
}

enum lp_code lp_import_golden(const struct lp_draft *draft, struct lp_span lines, json_t **ret_golden,
                              struct lp_error *err)
{
    json_t *rows = json_array();
    if (rows == NULL) return lp_fail_memory(err, 0);
    enum lp_code rc = take_lines(draft, lines, rows, err);
    if (rc == LP_OK) {
        json_t *golden = json_pack("{s:s, s:f, s:f, s:O}", "source", draft->source, "rtol", relative, "atol", absolute,
                                   "rows", rows);
        if (golden != NULL) *ret_golden = golden;
        else rc = lp_fail_memory(err, 0);
    }
    json_decref(rows);
    return rc;
}
