/* struct lp_headers is librdkafka's header list under another name, so that a record's headers move without a copy. */
#include "kafka/client.h"
#include "kafka/sink.h"
#include "kafka/source.h"

struct lp_headers *lp_headers_take(void *message)
{
    rd_kafka_headers_t *list = NULL;
    if (rd_kafka_message_detach_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
    return (struct lp_headers *)list;
}

struct lp_headers *lp_headers_new(uint32_t expected_count)
{
    return (struct lp_headers *)rd_kafka_headers_new(expected_count);
}

void lp_headers_free(struct lp_headers *headers)
{
    if (headers != NULL) rd_kafka_headers_destroy((rd_kafka_headers_t *)headers);
}

bool lp_headers_add(struct lp_headers *headers, const char *name, struct lp_span value)
{
    return rd_kafka_header_add((rd_kafka_headers_t *)headers, name, -1, value.data, (ssize_t)value.size) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool lp_headers_remove(struct lp_headers *headers, const char *name)
{
    return rd_kafka_header_remove((rd_kafka_headers_t *)headers, name) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void lp_headers_each(const struct lp_headers *headers,
                     void (*fn)(void *context, const char *name, struct lp_span value), void *context)
{
    const rd_kafka_headers_t *list = (const rd_kafka_headers_t *)headers;
    const char *name;
    const void *value;
    size_t size;
    if (list == NULL) return;
    for (size_t i = 0; rd_kafka_header_get_all(list, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        fn(context, name, lp_span_of(value, size));
}

uint32_t lp_headers_count(const struct lp_headers *headers)
{
    return headers != NULL ? (uint32_t)rd_kafka_header_cnt((const rd_kafka_headers_t *)headers) : 0;
}

struct lp_span lp_headers_last(const struct lp_headers *headers, const char *name)
{
    const void *value;
    size_t size;
    if (rd_kafka_header_get_last((const rd_kafka_headers_t *)headers, name, &value, &size) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return lp_span_of(NULL, 0);
    return lp_span_of(value, size);
}
