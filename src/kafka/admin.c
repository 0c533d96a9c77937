#include "kafka/admin.h"

#include "kafka/client.h"
#include "kafka/trouble.h"

enum { DESTROY_TIMEOUT_MS = 2000 };

static enum lp_code count_of(const struct rd_kafka_metadata *metadata, const char *topic, uint32_t *ret_count,
                             struct lp_error *err)
{
    if (metadata->topic_cnt < 1)
        return lp_fail(err, LP_E_IO, LP_RETRY, "topic %s: the broker did not answer about it", topic);
    const struct rd_kafka_metadata_topic *found = &metadata->topics[0];
    if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR && found->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return lp_client_fail(err, found->err, topic);
    if (found->partition_cnt < 1)
        return lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "topic %s: not found: create it", topic);
    *ret_count = (uint32_t)found->partition_cnt;
    return LP_OK;
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    (void)client;
    lp_client_note(opaque, code, reason);
}

/* No answer: brokers that turn us away at the door are no answer either, and say why. */
static enum lp_code no_answer(rd_kafka_t *client, rd_kafka_resp_err_t error, const struct lp_client_trouble *trouble,
                              const struct lp_kafka_conf *conf, const char *topic, struct lp_error *err)
{
    rd_kafka_poll(client, 0); /* serves the error callback */
    if (trouble->code == RD_KAFKA_RESP_ERR_NO_ERROR) return lp_client_fail(err, error, topic);
    return lp_client_fail_trouble(err, trouble, conf, topic);
}

enum lp_code lp_admin_partition_count(const struct lp_kafka_conf *conf, const char *topic, int timeout_ms,
                                      uint32_t *ret_count, struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    rd_kafka_conf_t *rk_conf = NULL;
    rd_kafka_t *client = NULL;
    rd_kafka_topic_t *handle = NULL;
    const struct rd_kafka_metadata *metadata = NULL;
    struct lp_client_trouble trouble = {0};
    LP_TRY(lp_client_conf_new(conf, LP_CLIENT_ADMIN, "lepton-admin", NULL, 0, &rk_conf, err));
    rd_kafka_conf_set_opaque(rk_conf, &trouble);
    rd_kafka_conf_set_error_cb(rk_conf, on_error);
    /* A consumer: its metadata requests create no topics. */
    LP_TRY(lp_client_new(RD_KAFKA_CONSUMER, rk_conf, &client, err));
    handle = rd_kafka_topic_new(client, topic, NULL);
    if (handle == NULL) {
        rc = lp_client_fail(err, rd_kafka_last_error(), topic);
        goto out;
    }
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, handle, &metadata, timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = no_answer(client, error, &trouble, conf, topic, err);
        goto out;
    }
    rc = count_of(metadata, topic, ret_count, err);
out:
    if (metadata != NULL) rd_kafka_metadata_destroy(metadata);
    if (handle != NULL) rd_kafka_topic_destroy(handle);
    (void)lp_client_destroy(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, DESTROY_TIMEOUT_MS);
    return rc;
}
