#include "cmd/command.h"

#include "core/cpu.h"
#include "core/version.h"
#include "http/http.h"
#include "kafka/conf.h"

#include <cblas.h>
#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <zlib.h>

void lp_version_print(void)
{
    printf("lepton %s (commit %s)\n", lp_version(), lp_version_commit());
    printf("librdkafka %s\n", lp_kafka_version_text());
    printf("libcurl %s\n", curl_version_info(CURLVERSION_NOW)->version);
    printf("libmicrohttpd %s\n", lp_http_version_text());
    printf("jansson %s\n", jansson_version_str());
    printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    printf("zlib %s\n", zlibVersion());
    printf("%s, kernel %s\n", openblas_get_config(), openblas_get_corename());
    printf("cpu level %s\n", lp_cpu_level());
}
