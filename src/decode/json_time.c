#include "decode/json_time.h"

#include <stdint.h>

struct taker {
    const unsigned char *p, *end;
    bool loose; /* parts may be left out */
    bool bad;
};

static int take_digits(struct taker *t, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (t->p == t->end || *t->p < '0' || *t->p > '9') {
            t->bad = true;
            return 0;
        }
        value = value * 10 + (*t->p++ - '0');
    }
    return value;
}

/* The next byte when it is one of `set`, else 0 and bad. */
static unsigned char take_one(struct taker *t, const char *set)
{
    if (t->p == t->end || *t->p == 0 || strchr(set, *t->p) == NULL) {
        t->bad = true;
        return 0;
    }
    return *t->p++;
}

/* Fraction of a second in nanoseconds; digits beyond the ninth are dropped. */
static int32_t take_fraction(struct taker *t)
{
    if (t->p == t->end || *t->p != '.') return 0;
    t->p++;
    int32_t value = take_digits(t, 1), scale = 100000000;
    value *= scale;
    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        scale /= 10;
        value += (*t->p - '0') * scale;
    }
    return value;
}

/* Minutes east of UTC. */
static int take_zone(struct taker *t)
{
    if (t->loose && t->p == t->end) return 0;
    unsigned char sign = take_one(t, "Zz+-");
    if (sign != '+' && sign != '-') return 0;
    int hours = take_digits(t, 2);
    if (!t->loose || (t->p < t->end && *t->p == ':')) take_one(t, ":");
    int minutes = take_digits(t, 2);
    if (hours > 23 || minutes > 59) t->bad = true;
    return sign == '-' ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

static int month_days(int year, int month)
{
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar; years are counted from March so that the leap day is last.
 */
static int64_t epoch_days(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    int64_t leaps = y >= 0 ? y / 4 - y / 100 + y / 400 : -1;
    return y * 365 + leaps + (m * 153 + 2) / 5 + day - 1 - 719468;
}

/* Hour, minute and second; midnight where they may be absent and are. */
static void take_clock(struct taker *t, int *hour, int *minute, int *second, int32_t *fraction_ns)
{
    if (t->loose && t->p == t->end) return;
    take_one(t, "Tt ");
    *hour = take_digits(t, 2);
    take_one(t, ":");
    *minute = take_digits(t, 2);
    if (t->loose && (t->p == t->end || *t->p != ':')) return;
    take_one(t, ":");
    *second = take_digits(t, 2);
    *fraction_ns = take_fraction(t);
}

static bool time_ms(struct lp_span text, bool loose, double *ret_ms)
{
    struct taker t = {.p = text.data, .end = text.data + text.size, .loose = loose};
    int hour = 0, minute = 0, second = 0;
    int32_t fraction_ns = 0;
    int year = take_digits(&t, 4);
    take_one(&t, "-");
    int month = take_digits(&t, 2);
    take_one(&t, "-");
    int day = take_digits(&t, 2);
    take_clock(&t, &hour, &minute, &second, &fraction_ns);
    int zone_minutes = take_zone(&t);
    if (t.bad || t.p != t.end) return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month)) return false;
    if (hour > 23 || minute > 59 || second > 60) return false;
    int64_t minutes = epoch_days(year, month, day) * 1440 + hour * 60 + minute - zone_minutes;
    if (second == 60 && ((minutes % 1440) + 1440) % 1440 != 1439) return false;
    *ret_ms = (double)((minutes * 60 + second) * 1000) + fraction_ns / 1e6;
    return true;
}

bool lp_json_time_ms(struct lp_span text, double *ret_ms) { return time_ms(text, false, ret_ms); }
bool lp_loose_time_ms(struct lp_span text, double *ret_ms) { return time_ms(text, true, ret_ms); }
