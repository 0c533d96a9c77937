/* CSV by RFC 4180, case by case, and the two number parsers against strtod. */
#include "data/number/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIELDS_MAX = 16, TEXT_MAX = 512 };

static unsigned char text[TEXT_MAX + LP_BYTES_PADDING];

static const unsigned char *load(const char *csv, size_t size)
{
    memcpy(text, csv, size);
    memset(text + size, '\n', LP_BYTES_PADDING);
    return text + size;
}

/* Rows as text: fields in brackets, quoted ones in angles, `!` behind a malformed row, `;` after each. */
static void show(const char *csv, char *out)
{
    struct lp_csv_field fields[FIELDS_MAX];
    const unsigned char *p = text, *end = load(csv, strlen(csv));
    *out = '\0';
    while (p < end) {
        uint32_t count;
        bool malformed;
        p = lp_csv_row(p, end, fields, FIELDS_MAX, &count, &malformed);
        for (uint32_t i = 0; i < count; i++) {
            if (fields[i].escaped) lp_csv_unescape(&fields[i]);
            out += snprintf(out, TEXT_MAX, fields[i].quoted ? "<%.*s>" : "[%.*s]", (int)fields[i].bytes,
                            (const char *)fields[i].text);
        }
        out += snprintf(out, TEXT_MAX, malformed ? "!;" : ";");
    }
}

static void rows_are_taken_apart_as_the_rfc_has_it(void **context)
{
    (void)context;
    static const struct {
        const char *csv, *rows;
    } cases[] = {
        {"a,b\n", "[a][b];"},
        {"a,b", "[a][b];"},
        {"a,b\r\nc,d\r\n", "[a][b];[c][d];"},
        {"a,b\r", "[a][b];"},
        {",\n", "[][];"},
        {"a,", "[a][];"},
        {"\n", "[];"},
        {"\n\na", "[];[];[a];"},
        {"\"a\",b\n", "<a>[b];"},
        {"\"\",\n", "<>[];"},
        {"\"a,b\",c\n", "<a,b>[c];"},
        {"\"a\nb\"\nc", "<a\nb>;[c];"},
        {"\"a\r\nb\"\r\n", "<a\r\nb>;"},
        {"\"a\"\"b\"\n", "<a\"b>;"},
        {"\"\"\"\"\n", "<\">;"},
        {"\"\"\"\"\"\"\n", "<\"\">;"},
        {"\"a\r\"\n", "<a\r>;"},
        {"a\rb,c\n", "[a\rb][c];"},
        {" \"a\",b\n", "[ \"a\"][b]!;"},
        {"a\"b,c\nd,e\n", "[a\"b][c]!;[d][e];"},
        {"\"a\"b,c\nd,e\n", "<a>[c]!;[d][e];"},
        {"\"a\n,b\n", "<a\n,b\n>!;"},
        {"\"", "<>!;"},
        {"x,\"", "[x]<>!;"},
        {"\"a\" ,b\n", "<a>[b]!;"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789,x\n",
         "[0123456789012345678901234567890123456789012345678901234567890123456789][x];"},
        {"\"0123456789012345678901234567890123456789012345678901234567890123456\"\"789\",x\ny\n",
         "<0123456789012345678901234567890123456789012345678901234567890123456\"789>[x];[y];"},
    };
    char out[2 * TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        show(cases[i].csv, out);
        assert_string_equal(out, cases[i].rows);
    }
}

/* However the text is cut, complete rows end where the row reader says. */
static void splits_agree_with_rows(void **context)
{
    (void)context;
    static const char *const pieces[] = {"a", ",", "\n", "\"", "\"\"", "\r\n", "xyz"};
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        char csv[64] = "";
        size_t size = 0, last = 0;
        for (int i = 0; i < 12; i++) {
            seed = seed * 1103515245 + 12345;
            size += (size_t)snprintf(csv + size, sizeof csv - size, "%s",
                                     pieces[(seed >> 16 & 7) != 0 ? (seed >> 19) % 7 : 0]);
        }
        struct lp_csv_field fields[FIELDS_MAX * 4];
        const unsigned char *p = text, *end = load(csv, size);
        while (p < end) {
            uint32_t count;
            bool malformed;
            p = lp_csv_row(p, end, fields, FIELDS_MAX * 4, &count, &malformed);
            if (p < end || csv[size - 1] == '\n') last = (size_t)(p - text);
        }
        struct lp_csv_split whole = {0}, steps = {0};
        lp_csv_split(&whole, text, size, false);
        for (size_t i = 1; i <= size; i++) lp_csv_split(&steps, text, i, false);
        assert_int_equal(whole.end, steps.end);
        /* An open quote may still be closed: then the last newline was no end. */
        if (!whole.quoted && whole.at == size) assert_int_equal(whole.end, last);
        else assert_true(whole.end <= last);
    }
}

static void check_number(const char *number, bool good)
{
    struct lp_csv_field field = {text, (uint32_t)strlen(number), false, false};
    const int32_t column = 0;
    double wanted = strtod(number, NULL), got = -1, simd[1] = {-1};
    load(number, strlen(number));
    assert_int_equal(lp_data_number(text, field.bytes, &got), good);
    if (good) assert_memory_equal(&got, &wanted, sizeof got);
    uint32_t set = lp_csv_numbers_select(lp_cpu_get())(&field, &column, 1, simd);
    if (set == 1) assert_true(good);
    if (set == 1) assert_memory_equal(simd, &wanted, sizeof got);
}

static void numbers_are_strtods(void **context)
{
    (void)context;
    static const char *const good[] = {"0",
                                       "-0",
                                       "1",
                                       "-1",
                                       "10",
                                       "0.5",
                                       "-0.5",
                                       ".5",
                                       "5.",
                                       "00012",
                                       "1e5",
                                       "-2.5E-3",
                                       "1234567890123456",
                                       "12345678901234567",
                                       "9007199254740993",
                                       "0.1",
                                       "0.2",
                                       "0.3",
                                       "123456789.123456",
                                       "12345678.12345678",
                                       "-1234567.123456789",
                                       "1e-320",
                                       "+7",
                                       "0.000000000000001",
                                       "999999999999999.9",
                                       "4.35",
                                       "2.2250738585072014e-308"};
    static const char *const bad[] = {
        "-",     ".",      "-.",     "+",   "1..2", "1.2.3",     "1,2",      "0x10",
        "1_000", "1e",     "e5",     "--1", "1-",   "12345678a", "a2345678", "1234567890123456a",
        " ",     "nan(1)", "infinit"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) check_number(good[i], true);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check_number(bad[i], false);
    unsigned long long seed = 3;
    for (int i = 0; i < 200000; i++) {
        char number[64];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int places = (int)(seed >> 60), sign = (int)(seed >> 59 & 1);
        double value = (double)(seed >> 11) * 0x1p-53 * pow(10, (double)(seed >> 50 & 7));
        snprintf(number, sizeof number, "%s%.*f", sign ? "-" : "", places, value);
        check_number(number, true);
    }
    double words[4];
    assert_true(lp_data_number((load("NaN", 3), text), 3, &words[0]) && isnan(words[0]));
    assert_true(lp_data_number((load("-Inf", 4), text), 4, &words[1]) && words[1] == -INFINITY);
    assert_true(lp_data_number((load("infinity", 8), text), 8, &words[2]) && words[2] == INFINITY);
    assert_true(lp_data_number((load("TRUE", 4), text), 4, &words[3]) && words[3] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_taken_apart_as_the_rfc_has_it),
        cmocka_unit_test(splits_agree_with_rows),
        cmocka_unit_test(numbers_are_strtods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
