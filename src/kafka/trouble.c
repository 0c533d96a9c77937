#include "kafka/trouble.h"

#include "kafka/client.h"

#include <stdio.h>

void lp_client_note(struct lp_client_trouble *trouble, int code, const char *reason)
{
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && trouble->code != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    trouble->code = (rd_kafka_resp_err_t)code;
    snprintf(trouble->text, sizeof trouble->text, "%s", reason);
}

enum lp_code lp_client_fail_trouble(struct lp_error *err, const struct lp_client_trouble *trouble,
                                    const struct lp_kafka_conf *conf, const char *what)
{
    char warning[LP_KAFKA_WARNING_BYTES];
    struct lp_error meaning;
    lp_client_fail(&meaning, trouble->code, what);
    bool scram =
        trouble->code == RD_KAFKA_RESP_ERR__AUTHENTICATION && lp_kafka_conf_warning(conf, warning, sizeof warning);
    return lp_fail(err, meaning.code, LP_RETRY, "%.200s%s%s: %s", meaning.text, scram ? ": " : "", scram ? warning : "",
                   trouble->text);
}
