#include "cmd/command.h"

#include "core/cpu.h"
#include "core/version.h"
#include "http/http.h"
#include "kafka/conf.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

/*
 * Each library belongs to one folder of src/, the only one that includes its header; these four functions are all that
 * this file wants of the others, and their declarations have not changed in a decade.
 */
char *curl_version(void);
const char *OpenSSL_version(int what);
char *openblas_get_config(void);
char *openblas_get_corename(void);

void lp_version_print(void)
{
    printf("lepton %s (commit %s)\n", lp_version(), lp_version_commit());
    printf("librdkafka %s\n", lp_kafka_version_text());
    const char *curl = curl_version(); /* "libcurl/7.88.1 OpenSSL/3.0.22 ..." */
    printf("%.*s\n", (int)strcspn(curl, " "), curl);
    printf("libmicrohttpd %s\n", lp_http_version_text());
    printf("jansson %s\n", jansson_version_str());
    printf("%s\n", OpenSSL_version(0));
    printf("zlib %s\n", zlibVersion());
    printf("%s, for %s\n", openblas_get_config(), openblas_get_corename());
    printf("cpu level %s\n", lp_cpu_level());
}
