#include "cmd/findings.h"

#include "cmd/command.h"
#include "cmd/terminal.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINES_MAX_BYTES = 64 << 20, TEXT_MAX_BYTES = 1024 };

static const char *const names[] = {"pass", "warn", "fail"};

void lp_findings_init(struct lp_findings *findings, bool json)
{
    *findings = (struct lp_findings){.json = json};
    lp_buffer_init(&findings->lines, LINES_MAX_BYTES);
}

void lp_findings_add(struct lp_findings *findings, enum lp_finding finding, const char *subject, const char *format,
                     ...)
{
    char text[TEXT_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    findings->counts[finding]++;
    if (!findings->json) {
        lp_print_safe(stdout, "%s  %s: %s\n", names[finding], subject, text);
        return;
    }
    lp_buffer_format(&findings->lines, "%s{\"result\":\"%s\",\"subject\":", findings->lines.size > 0 ? "," : "",
                     names[finding]);
    lp_buffer_json_string(&findings->lines, lp_span_text(subject));
    lp_buffer_text(&findings->lines, ",\"text\":");
    lp_buffer_json_string(&findings->lines, lp_span_text(text));
    lp_buffer_text(&findings->lines, "}");
}

void lp_findings_fail(struct lp_findings *findings, const char *subject, const struct lp_error *err)
{
    lp_findings_add(findings, LP_FINDING_FAIL, subject, "%s", err->text);
}

int lp_findings_done(struct lp_findings *findings)
{
    bool failed = findings->counts[LP_FINDING_FAIL] > 0;
    if (findings->json)
        printf("{\"ok\":%s,\"findings\":[%.*s]}\n", failed ? "false" : "true", (int)findings->lines.size,
               findings->lines.data != NULL ? (const char *)findings->lines.data : "");
    lp_buffer_done(&findings->lines);
    return failed ? LP_EXIT_FAILED : LP_EXIT_OK;
}
