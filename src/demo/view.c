#include "demo/view.h"

#include "core/buffer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX_BYTES = 64 * 1024, BAR_CELLS = 30, PSI_CELLS = 24, ROWS_SHOWN = 8, EVENTS_SHOWN = 2 };

struct lp_view {
    bool terminal, color;
    struct lp_buffer frame;
    double next_line_s;
    uint32_t events_said;
};

struct lp_view *lp_view_new(void)
{
    struct lp_view *view = calloc(1, sizeof *view);
    if (view == NULL) return NULL;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    view->terminal = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    view->color = view->terminal && (no_color == NULL || no_color[0] == '\0');
    lp_buffer_init(&view->frame, FRAME_MAX_BYTES);
    if (view->terminal) fputs("\033[?25l\033[2J", stdout);
    return view;
}

void lp_view_free(struct lp_view *view)
{
    if (view == NULL) return;
    if (view->terminal) fputs("\033[?25h", stdout);
    fflush(stdout);
    lp_buffer_done(&view->frame);
    free(view);
}

static const char *paint(const struct lp_view *view, enum lp_severity severity)
{
    static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31;1m"};
    return view->color ? colors[severity] : "";
}
static const char *bold(const struct lp_view *view) { return view->color ? "\033[1m" : ""; }
static const char *plain(const struct lp_view *view) { return view->color ? "\033[0m" : ""; }

static void day(int64_t time_ms, char *text, size_t bytes)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, bytes, "%d %b", &utc);
}

static void bar(struct lp_buffer *out, double share, int cells)
{
    int full = isfinite(share) ? (int)(share * cells + 0.5) : 0;
    if (full > cells) full = cells;
    for (int i = 0; i < cells; i++) lp_buffer_text(out, i < full ? "\xe2\x96\x88" : "\xc2\xb7");
}

static void line_end(struct lp_buffer *out) { lp_buffer_text(out, "\033[K\n"); }

static void show_stream(struct lp_view *view, const struct lp_moment *m)
{
    struct lp_buffer *out = &view->frame;
    char date[32];
    day(m->stream.sched_ms, date, sizeof date);
    lp_buffer_format(out, "%slepton demo%s  a year of departures from New York, scored: leaves over 15 minutes late?",
                     bold(view), plain(view));
    line_end(out);
    line_end(out);
    lp_buffer_format(out, "  stream  %s  ", m->stream.sent > 0 ? date : "  -   ");
    bar(out, (double)(m->stream.sent % (m->stream_count + 1)) / (double)m->stream_count, BAR_CELLS);
    lp_buffer_format(out, "  %llu of %llu records", (unsigned long long)m->stream.sent,
                     (unsigned long long)m->stream_count);
    line_end(out);
    lp_buffer_format(
        out, "  worker  %7.0f records/s   lag %lld   in flight %u   dead letters %llu (damaged on purpose)",
        m->records_per_s, (long long)m->lag, m->stats.in_flight, (unsigned long long)m->stats.dead_letters);
    line_end(out);
    lp_buffer_format(out, "  latency p50 %.1f ms   p99 %.1f ms   (record written to prediction handed over)",
                     lp_latency_quantile_ns(&m->recent, 0.5) / 1e6, lp_latency_quantile_ns(&m->recent, 0.99) / 1e6);
    line_end(out);
    lp_buffer_format(out, "  model   %sversion %s%s   generation %llu   %s", bold(view),
                     m->model.version[0] != '\0' ? m->model.version : "-", plain(view),
                     (unsigned long long)m->model.serving_generation, lp_slot_state_name(m->model.state));
    line_end(out);
    line_end(out);
}

static void show_drift(struct lp_view *view, const struct lp_moment *m)
{
    static const char *const words[] = {"ok", "warn", "ALERT"};
    struct lp_buffer *out = &view->frame;
    lp_buffer_format(out, "  %-12s %7s  %-*s %-6s %s", "feature", "PSI", PSI_CELLS, "", "", "window to");
    line_end(out);
    /* The score is reported last and shown first. */
    for (uint32_t i = 0; i < m->drift_count && i < ROWS_SHOWN; i++) {
        const struct lp_drift_latest *latest = &m->drift[i == 0 ? m->drift_count - 1 : i - 1];
        char date[32];
        day(latest->window_end_ms, date, sizeof date);
        if (isnan(latest->psi)) {
            lp_buffer_format(out, "  %-12.12s %7s  ", latest->feature, "few");
            bar(out, 0, PSI_CELLS);
        } else {
            lp_buffer_format(out, "  %-12.12s %7.3f  %s", latest->feature, latest->psi, paint(view, latest->severity));
            bar(out, latest->psi / 1.0, PSI_CELLS);
        }
        lp_buffer_format(out, " %-6s%s %s", words[latest->severity], plain(view), date);
        line_end(out);
    }
    line_end(out);
}

static void show_events(struct lp_view *view, const struct lp_moment *m)
{
    struct lp_buffer *out = &view->frame;
    uint32_t first = m->event_count > EVENTS_SHOWN ? m->event_count - EVENTS_SHOWN : 0;
    for (uint32_t i = first; i < m->event_count; i++) {
        const struct lp_control_event *event = &m->events[i];
        lp_buffer_format(out, "  generation %llu  %-9s version %-4s %.60s", (unsigned long long)event->generation,
                         lp_slot_state_name(event->state), event->version[0] != '\0' ? event->version : "-",
                         event->reason);
        line_end(out);
    }
    line_end(out);
    lp_buffer_format(out, "  %s%s%s", bold(view), m->story, plain(view));
    line_end(out);
    if (m->total_s > 0) lp_buffer_format(out, "  %.0f of %.0f s", m->elapsed_s, m->total_s);
    else lp_buffer_format(out, "  %.0f s, Ctrl-C ends it", m->elapsed_s);
    line_end(out);
    lp_buffer_format(out, "  kcat -b %s -C -t flights.predictions -o -5 -c 5", m->bootstrap);
    line_end(out);
    lp_buffer_format(out, "  kcat -b %s -C -t lepton.drift -o -3 -c 3", m->bootstrap);
    line_end(out);
    lp_buffer_format(out, "  curl -s http://%s/metrics | grep lepton_drift", m->http);
    line_end(out);
}

static const char *psi_text(const struct lp_drift_latest *latest, char text[16])
{
    bool known = latest != NULL && !isnan(latest->psi);
    if (known) snprintf(text, 16, "%.2f", latest->psi);
    return known ? text : "-";
}

static void show_lines(struct lp_view *view, const struct lp_moment *m)
{
    for (; view->events_said < m->event_count; view->events_said++) {
        const struct lp_control_event *event = &m->events[view->events_said];
        printf("model generation=%llu state=%s version=%s %s\n", (unsigned long long)event->generation,
               lp_slot_state_name(event->state), event->version, event->reason);
    }
    if (m->elapsed_s < view->next_line_s) return;
    view->next_line_s = m->elapsed_s + 1;
    const struct lp_drift_latest *temp = lp_drift_latest_find(m->drift, m->drift_count, "temp");
    const struct lp_drift_latest *score = lp_drift_latest_find(m->drift, m->drift_count, "$score");
    char date[32], temp_text[16], score_text[16];
    day(m->stream.sched_ms, date, sizeof date);
    printf("%5.1fs  %s  records/s %.0f  lag %lld  p50 %.1f ms  p99 %.1f ms  version %s  predictions %llu  dead letters "
           "%llu  psi temp %s score %s  | %s\n",
           m->elapsed_s, date, m->records_per_s, (long long)m->lag, lp_latency_quantile_ns(&m->recent, 0.5) / 1e6,
           lp_latency_quantile_ns(&m->recent, 0.99) / 1e6, m->model.version, (unsigned long long)m->audit.predictions,
           (unsigned long long)m->audit.dead_letters, psi_text(temp, temp_text), psi_text(score, score_text), m->story);
    fflush(stdout);
}

void lp_view_show(struct lp_view *view, const struct lp_moment *moment)
{
    if (!view->terminal) {
        show_lines(view, moment);
        return;
    }
    lp_buffer_clear(&view->frame);
    lp_buffer_text(&view->frame, "\033[H");
    show_stream(view, moment);
    show_drift(view, moment);
    show_events(view, moment);
    lp_buffer_text(&view->frame, "\033[J");
    if (!view->frame.failed) fwrite(view->frame.data, 1, view->frame.size, stdout);
    fflush(stdout);
}
