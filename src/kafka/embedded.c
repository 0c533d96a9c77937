#include "kafka/embedded.h"

#include "kafka/client.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

enum { ERRORS_MAX = 1000, PARTITIONS_MAX = 10000, DESTROY_TIMEOUT_MS = 5000 };

struct lp_embedded {
    rd_kafka_t *client; /* the mock cluster lives in a client instance */
    rd_kafka_mock_cluster_t *cluster;
    uint32_t broker_count;
};

enum lp_code lp_embedded_new(uint32_t broker_count, struct lp_embedded **ret_embedded, struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    /* This client connects to nobody, and would say so. */
    static const struct lp_kafka_setting quiet = {"log_level", "3", LP_KAFKA_BOTH};
    const struct lp_kafka_conf conf = {.settings = &quiet, .setting_count = 1};
    rd_kafka_conf_t *rk_conf = NULL;
    struct lp_embedded *embedded = calloc(1, sizeof *embedded);
    if (embedded == NULL) return lp_fail_memory(err, sizeof *embedded);
    embedded->broker_count = broker_count;
    LP_GUARD(lp_client_conf_new(&conf, LP_CLIENT_ADMIN, "lepton-embedded", NULL, 0, &rk_conf, err));
    LP_GUARD(lp_client_new(RD_KAFKA_CONSUMER, rk_conf, &embedded->client, err));
    embedded->cluster = rd_kafka_mock_cluster_new(embedded->client, (int)broker_count);
    if (embedded->cluster == NULL) {
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "embedded broker: cannot listen on 127.0.0.1");
        goto out;
    }
    *ret_embedded = embedded;
    return LP_OK;
out:
    lp_embedded_free(embedded);
    return rc;
}

void lp_embedded_free(struct lp_embedded *embedded)
{
    if (embedded == NULL) return;
    if (embedded->cluster != NULL) rd_kafka_mock_cluster_destroy(embedded->cluster);
    if (embedded->client != NULL)
        (void)lp_client_destroy(embedded->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, DESTROY_TIMEOUT_MS);
    free(embedded);
}

const char *lp_embedded_bootstrap(const struct lp_embedded *embedded)
{
    return rd_kafka_mock_cluster_bootstraps(embedded->cluster);
}

enum lp_code lp_embedded_create_topic(struct lp_embedded *embedded, const char *topic, uint32_t partition_count,
                                      struct lp_error *err)
{
    if (partition_count == 0 || partition_count > PARTITIONS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "topic %s: %u partitions: 1 to %d", topic, partition_count,
                       PARTITIONS_MAX);
    rd_kafka_resp_err_t error =
        rd_kafka_mock_topic_create(embedded->cluster, topic, (int)partition_count, (int)embedded->broker_count);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? LP_OK : lp_client_fail(err, error, topic);
}

void lp_embedded_push_errors(struct lp_embedded *embedded, int16_t api_key, uint32_t count, int error_code)
{
    rd_kafka_resp_err_t errors[ERRORS_MAX];
    if (count > ERRORS_MAX) count = ERRORS_MAX;
    for (uint32_t i = 0; i < count; i++) errors[i] = (rd_kafka_resp_err_t)error_code;
    rd_kafka_mock_push_request_errors_array(embedded->cluster, api_key, count, errors);
}

void lp_embedded_push_delay(struct lp_embedded *embedded, int16_t api_key, int delay_ms)
{
    for (int32_t broker = 1; broker <= (int32_t)embedded->broker_count; broker++)
        rd_kafka_mock_broker_push_request_error_rtts(embedded->cluster, broker, api_key, 1, RD_KAFKA_RESP_ERR_NO_ERROR,
                                                     delay_ms);
}
