// stages: control
/* What comes from the control and status topics, and URIs: parsed, and what was accepted is written and parsed again.
 */
#include "control/desired.h"
#include "control/source.h"
#include "control/status_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ROOT[] = "/usr/share"; /* some folder that is there; nothing in it is opened */

static void check_uri(const char *uri)
{
    char path[LP_PATH_MAX_BYTES];
    struct lp_error err = {0};
    enum lp_code rc = lp_source_uri_path(uri, ROOT, path, &err);
    if (rc == LP_OK && strncmp(path, "/usr/share/", 11) != 0) abort();
    if (rc != LP_OK && err.text[0] == '\0') abort();
}

static void check_again(const struct lp_desired *desired, const char *text)
{
    struct lp_error err;
    struct lp_desired *again = NULL;
    if (text == NULL || lp_desired_parse(lp_span_text(text), SIZE_MAX, &again, &err) != LP_OK) abort();
    if (again->generation != desired->generation || again->paused != desired->paused ||
        again->has_previous != desired->has_previous || strcmp(again->active.uri, desired->active.uri) != 0 ||
        strcmp(again->active.sha256, desired->active.sha256) != 0 ||
        strcmp(again->active.signature, desired->active.signature) != 0 ||
        strcmp(again->previous.signature, desired->previous.signature) != 0 ||
        strcmp(again->previous.uri, desired->previous.uri) != 0)
        abort();
    lp_desired_free(again);
}

static void fuzz_desired(struct lp_span json)
{
    struct lp_error err = {0};
    struct lp_desired *desired = NULL;
    if (lp_desired_parse(json, 65536, &desired, &err) != LP_OK) {
        if (err.text[0] == '\0' || desired != NULL) abort();
        return;
    }
    check_again(desired, desired->json);
    char *text = lp_desired_encode(desired->generation, &desired->active, &desired->previous, desired->paused);
    check_again(desired, text);
    free(text);
    check_uri(desired->active.uri);
    lp_desired_free(desired);
}

static void fuzz_status(struct lp_span json)
{
    struct lp_error err = {0};
    struct lp_status_record record, again;
    if (lp_status_record_parse(json, &record, &err) != LP_OK) {
        if (err.text[0] == '\0') abort();
        return;
    }
    char *text = lp_status_record_encode(&record);
    if (text == NULL || lp_status_record_parse(lp_span_text(text), &again, &err) != LP_OK) abort();
    if (again.generation != record.generation || again.state != record.state || again.serving != record.serving ||
        (again.desired_json != NULL) != (record.desired_json != NULL))
        abort();
    lp_status_record_done(&again);
    lp_status_record_done(&record);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_desired(lp_span_of(data, size));
    fuzz_status(lp_span_of(data, size));
    char uri[1024];
    if (size < sizeof uri) {
        memcpy(uri, data, size);
        uri[size] = '\0';
        check_uri(uri);
    }
    return 0;
}
