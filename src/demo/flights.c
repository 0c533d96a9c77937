#include "demo/flights.h"

#include "demo/assets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { CSV_MAX_BYTES = 32 << 20, COLUMNS = 14 };
enum column {
    ORIGIN,
    TEMP,
    DEWP,
    HUMID,
    WIND_SPEED,
    PRECIP,
    PRESSURE,
    VISIB,
    SCHED,
    CARRIER,
    FLIGHT,
    DEST,
    DISTANCE,
    DEP_DELAY
};
static const char HEADER[] = "origin,temp,dewp,humid,wind_speed,precip,pressure,visib,sched,carrier,flight,dest,"
                             "distance,dep_delay\n";

struct lp_flights {
    char *csv;
    const char **rows; /* [count], each ends at a newline */
    uint32_t count;
    char key[32];
};

static enum lp_code unpack(struct lp_span packed, char **ret_text, size_t *ret_bytes, struct lp_error *err)
{
    char *text = malloc(CSV_MAX_BYTES);
    if (text == NULL) return lp_fail_memory(err, CSV_MAX_BYTES);
    z_stream stream = {.next_in = (Bytef *)packed.data,
                       .avail_in = (uInt)packed.size,
                       .next_out = (Bytef *)text,
                       .avail_out = CSV_MAX_BYTES - 1};
    enum { GZIP_WINDOW = 15 + 16 };
    bool whole = inflateInit2(&stream, GZIP_WINDOW) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END;
    inflateEnd(&stream);
    if (!whole) {
        free(text);
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "demo data: the packed flights are damaged: build again");
    }
    *ret_bytes = CSV_MAX_BYTES - 1 - stream.avail_out;
    text[*ret_bytes] = '\0';
    *ret_text = text;
    return LP_OK;
}

static enum lp_code split(struct lp_flights *flights, struct lp_error *err)
{
    size_t lines = 0;
    for (const char *c = flights->csv; (c = strchr(c, '\n')) != NULL; c++) lines++;
    flights->rows = calloc(lines + 1, sizeof(const char *));
    if (flights->rows == NULL) return lp_fail_memory(err, lines * sizeof(const char *));
    if (strncmp(flights->csv, HEADER, strlen(HEADER)) != 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "demo data: unexpected columns: build again");
    for (const char *row = flights->csv + strlen(HEADER), *end; (end = strchr(row, '\n')) != NULL; row = end + 1)
        flights->rows[flights->count++] = row;
    return LP_OK;
}

enum lp_code lp_flights_new(struct lp_flights **ret_flights, struct lp_error *err)
{
    struct lp_flights *flights = calloc(1, sizeof *flights);
    size_t bytes;
    if (flights == NULL) return lp_fail_memory(err, sizeof *flights);
    enum lp_code rc = unpack(lp_asset_flights_csv_gz(), &flights->csv, &bytes, err);
    if (rc == LP_OK) rc = split(flights, err);
    if (rc != LP_OK) {
        lp_flights_free(flights);
        return rc;
    }
    *ret_flights = flights;
    return LP_OK;
}

void lp_flights_free(struct lp_flights *flights)
{
    if (flights == NULL) return;
    free(flights->rows);
    free(flights->csv);
    free(flights);
}

uint32_t lp_flights_count(const struct lp_flights *flights) { return flights->count; }

/* --- Avro --- */

static void put_long(struct lp_buffer *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    unsigned char bytes[10];
    size_t used = 0;
    for (; zigzag >= 0x80; zigzag >>= 7) bytes[used++] = (unsigned char)(zigzag | 0x80);
    bytes[used++] = (unsigned char)zigzag;
    lp_buffer_append(out, bytes, used);
}

static void put_text(struct lp_buffer *out, struct lp_span text)
{
    put_long(out, (int64_t)text.size);
    lp_buffer_append(out, text.data, text.size);
}

static void put_double(struct lp_buffer *out, double value) { lp_buffer_append(out, &value, sizeof value); }

/* ["null", "double"]: an empty field is missing. */
static void put_optional(struct lp_buffer *out, struct lp_span field)
{
    put_long(out, field.size > 0);
    if (field.size > 0) put_double(out, strtod((const char *)field.data, NULL));
}

static void cut(const char *row, struct lp_span fields[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++) {
        size_t length = strcspn(row, ",\n");
        fields[i] = lp_span_of(row, length);
        row += length + (row[length] == ',');
    }
}

static int64_t parse_time(struct lp_span field, int *ret_hour)
{
    struct tm time = {0};
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)field.size, (const char *)field.data);
    (void)strptime(text, "%Y-%m-%dT%H:%M", &time);
    *ret_hour = time.tm_hour;
    return (int64_t)timegm(&time) * 1000;
}

void lp_flights_encode(struct lp_flights *flights, uint32_t index, int64_t shift_ms, struct lp_buffer *out,
                       struct lp_span *ret_key, int64_t *ret_sched_ms)
{
    struct lp_span fields[COLUMNS];
    int hour;
    char id[64];
    cut(flights->rows[index], fields);
    *ret_sched_ms = parse_time(fields[SCHED], &hour) + shift_ms;
    snprintf(flights->key, sizeof flights->key, "%.*s%.*s", (int)fields[CARRIER].size, fields[CARRIER].data,
             (int)fields[FLIGHT].size, fields[FLIGHT].data);
    snprintf(id, sizeof id, "%s-%.*s", flights->key, (int)fields[SCHED].size, fields[SCHED].data);
    put_text(out, lp_span_text(id));
    put_long(out, *ret_sched_ms);
    put_text(out, fields[CARRIER]);
    put_long(out, strtol((const char *)fields[FLIGHT].data, NULL, 10));
    put_text(out, fields[ORIGIN]);
    put_text(out, fields[DEST]);
    put_double(out, strtod((const char *)fields[DISTANCE].data, NULL));
    put_long(out, hour);
    for (int i = TEMP; i <= VISIB; i++) put_optional(out, fields[i]);
    *ret_key = lp_span_text(flights->key);
}

/* --- rows to learn from --- */

static void write_row(FILE *out, const struct lp_span fields[COLUMNS])
{
    enum { LATE_MINUTES = 15, DAY_CHARS = 10 };
    int hour;
    parse_time(fields[SCHED], &hour);
    fprintf(out, "%.*s", (int)fields[CARRIER].size, (const char *)fields[CARRIER].data);
    for (int i = ORIGIN; i <= VISIB; i++) fprintf(out, ",%.*s", (int)fields[i].size, (const char *)fields[i].data);
    fprintf(out, ",%.*s,%d,%.*s,%d\n", (int)fields[DISTANCE].size, (const char *)fields[DISTANCE].data, hour, DAY_CHARS,
            (const char *)fields[SCHED].data, strtol((const char *)fields[DEP_DELAY].data, NULL, 10) > LATE_MINUTES);
}

enum lp_code lp_flights_write(const struct lp_flights *flights, int first, int last, const char *path,
                              struct lp_error *err)
{
    enum { MONTH_AT = 5 };
    FILE *out = fopen(path, "w");
    if (out == NULL) return lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot be created", path);
    fputs("carrier,origin,temp,dewp,humid,wind_speed,precip,pressure,visib,distance,hour,day,late\n", out);
    for (uint32_t i = 0; i < flights->count; i++) {
        struct lp_span fields[COLUMNS];
        cut(flights->rows[i], fields);
        long month = strtol((const char *)fields[SCHED].data + MONTH_AT, NULL, 10);
        if (month >= first && month <= last && fields[DEP_DELAY].size > 0) write_row(out, fields);
    }
    bool written = ferror(out) == 0;
    if (fclose(out) != 0 || !written)
        return lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot be written: is the disk full?", path);
    return LP_OK;
}
