/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/report-page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "ctl/format.h"

/* Pictures are drawn on a grid of this width and scale with the page. */
#define WIDTH 720
#define LEFT 130
#define RIGHT 710
#define ROW 24
#define CHART_HEIGHT 150
#define NODES_SHOWN 20u
#define SNAPSHOTS_SHOWN 40u

static const char style[] =
        ":root{color-scheme:light dark;--ink:#1c2330;--soft:#5d6675;--line:#d9dee6;--page:#fff;--mark:#2563b8;--warn:#b4540a}"
        "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b2;--line:#39424f;--page:#161a20;--mark:#6ea8ff;"
        "--warn:#f0a35b}}"
        "@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--page:#fff;--mark:#1d4f96;--warn:#8a3d00}section{"
        "break-inside:avoid}}"
        "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:60em;margin:2em auto;"
        "padding:0 1em}h1{font-size:1.6em;margin:0}h2{font-size:1.15em;margin:2em 0 .4em}p{color:var(--soft);margin:.2em 0}"
        "svg{width:100%;height:auto;display:block}svg text{font:12px system-ui,sans-serif;fill:var(--soft)}"
        ".name{fill:var(--ink)}.bin{fill:var(--mark)}.axis{stroke:var(--line)}.size{fill:none;stroke:var(--mark);"
        "stroke-width:2}.dot{fill:var(--mark)}.pin{fill:var(--warn)}.stop{stroke:var(--warn);stroke-dasharray:4 3}"
        "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{text-align:left;color:var(--soft);"
        "font-weight:500}td,th{padding:.25em .6em .25em 0;border-bottom:1px solid var(--line);}"
        ".t{overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}"
        ".bar{display:block;height:.6em;background:var(--mark);border-radius:2px;print-color-adjust:exact;"
        "-webkit-print-color-adjust:exact}td.w{width:30%}";

/* Names come from clients: whatever they hold is shown, never meant. */
static void put_text(FILE *f, const char *text)
{
        _cleanup_free_ char *safe = log_escape(text, strlen(text));

        for (const char *p = safe ?: ""; *p; p++)
                switch (*p) {
                case '<':
                        fputs("&lt;", f);
                        break;
                case '>':
                        fputs("&gt;", f);
                        break;
                case '&':
                        fputs("&amp;", f);
                        break;
                case '"':
                        fputs("&quot;", f);
                        break;
                default:
                        fputc(*p, f);
                }
}

static const char *user_name(const HistoryUser *u)
{
        return !u->name ? "all others" : *u->name ? u->name : "(server)";
}

/* ---- pictures ---- */

static double x_of(const History *h, uint64_t usec)
{
        double span = (double)(h->last_usec - h->first_usec) + 1;

        return LEFT + (double)(MAX(usec, h->first_usec) - h->first_usec) / span * (RIGHT - LEFT);
}

static void put_time_axis(FILE *f, const History *h, int y)
{
        char time[FORMAT_SIZE_MAX];

        fprintf(f, "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>", LEFT, y, RIGHT, y);
        fprintf(f, "<text x=\"%d\" y=\"%d\">%.16s</text>", LEFT, y + 16, format_time(time, sizeof(time), h->first_usec));
        fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.16s</text>", RIGHT, y + 16,
                format_time(time, sizeof(time), h->last_usec));
}

/* A row for each user, darker where more was changed. */
static void put_activity(FILE *f, const History *h)
{
        int height = (int)h->n_users * ROW;
        double most = 1, step = (double)(RIGHT - LEFT) / HISTORY_BINS;

        for (size_t i = 0; i < h->n_users; i++)
                for (size_t k = 0; k < HISTORY_BINS; k++)
                        most = MAX(most, (double)h->users[i].bins[k]);
        fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Changes of each user over time\">\n", WIDTH, height + 24);
        for (size_t i = 0; i < h->n_users; i++) {
                const HistoryUser *u = &h->users[i];
                int y = (int)i * ROW;

                fprintf(f, "<text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 10, y + 16);
                put_text(f, user_name(u));
                fputs("</text>\n", f);
                for (size_t k = 0; k < HISTORY_BINS; k++)
                        if (u->bins[k] > 0)
                                fprintf(f, "<rect class=\"bin\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
                                           "opacity=\"%.2f\"><title>%" PRIu32 " changes</title></rect>\n",
                                        LEFT + (double)k * step, y + 4, step - 0.6, ROW - 8,
                                        0.2 + 0.8 * log1p(u->bins[k]) / log1p(most), u->bins[k]);
        }
        put_time_axis(f, h, height + 4);
        fputs("</svg>\n", f);
}

static bool is_stop(const StoreSnapshotInfo *s)
{
        return strcmp(s->reason, "shutdown") == 0;
}

static bool is_shown(const ReportData *d, uint64_t usec)
{
        return usec >= d->history->first_usec && usec <= d->history->last_usec;
}

static void put_line(FILE *f, const ReportData *d, uint64_t usec, const char *what)
{
        double x = x_of(d->history, usec);
        char time[FORMAT_SIZE_MAX];

        fprintf(f, "<line class=\"stop\" x1=\"%.1f\" y1=\"10\" x2=\"%.1f\" y2=\"%d\"><title>%s, %s</title></line>\n", x, x,
                CHART_HEIGHT + 10, what, format_time(time, sizeof(time), usec));
}

static void put_marks(FILE *f, const ReportData *d, uint64_t most)
{
        for (size_t i = d->n_snapshots; i-- > 0;) {
                const StoreSnapshotInfo *s = &d->snapshots[i];
                double x = x_of(d->history, s->time_usec);
                double y = 10 + CHART_HEIGHT * (1 - (double)s->payload_bytes / (double)most);

                if (!is_shown(d, s->time_usec))
                        continue;
                if (is_stop(s))
                        put_line(f, d, s->time_usec, "stopped");
                fprintf(f, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>%s, ", s->pinned ? "pin" : "dot", x, y,
                        s->pinned ? "5" : "3", s->name);
                put_text(f, s->reason);
                fputs("</title></circle>\n", f);
        }
        for (size_t i = 0; i < d->restarts->n_times; i++)
                if (is_shown(d, d->restarts->times[i]))
                        put_line(f, d, d->restarts->times[i], "started anew");
}

static void put_size(FILE *f, const ReportData *d)
{
        char size[FORMAT_SIZE_MAX];
        uint64_t most = 1;

        for (size_t i = 0; i < d->n_snapshots; i++)
                most = MAX(most, d->snapshots[i].payload_bytes);
        fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Size of the scene over time\">\n", WIDTH,
                CHART_HEIGHT + 34);
        fprintf(f, "<text x=\"%d\" y=\"16\" text-anchor=\"end\">%s</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">0</text>\n",
                LEFT - 10, format_size(size, sizeof(size), most), LEFT - 10, CHART_HEIGHT + 10);
        fputs("<polyline class=\"size\" points=\"", f);
        for (size_t i = d->n_snapshots; i-- > 0;)
                if (is_shown(d, d->snapshots[i].time_usec))
                        fprintf(f, "%.1f,%.1f ", x_of(d->history, d->snapshots[i].time_usec),
                                10 + CHART_HEIGHT * (1 - (double)d->snapshots[i].payload_bytes / (double)most));
        fputs("\"/>\n", f);
        put_marks(f, d, most);
        put_time_axis(f, d->history, CHART_HEIGHT + 12);
        fputs("</svg>\n<p>A dot is a snapshot, a large one is pinned; a dashed line is where the server was stopped or started anew.</p>\n", f);
}

/* ---- tables ---- */

static void put_users(FILE *f, const History *h)
{
        char size[FORMAT_SIZE_MAX], first[FORMAT_SIZE_MAX], last[FORMAT_SIZE_MAX];

        fputs("<table><tr><th>User<th class=\"n\">Changes<th class=\"n\">Refused<th class=\"n\">Sent<th>First<th>Last</tr>\n", f);
        for (size_t i = 0; i < h->n_users; i++) {
                const HistoryUser *u = &h->users[i];

                fputs("<tr><td class=\"t\">", f);
                put_text(f, user_name(u));
                fprintf(f, "<td class=\"n\">%" PRIu64 "<td class=\"n\">%" PRIu64 "<td class=\"n\">%s<td>%s<td>%s</tr>\n",
                        u->n_changes, u->n_refused, format_size(size, sizeof(size), u->bytes),
                        format_time(first, sizeof(first), u->first_usec), format_time(last, sizeof(last), u->last_usec));
        }
        fputs("</table>\n", f);
}

static int compare_sizes(const void *a, const void *b)
{
        const Listed *x = *(const Listed *const *)a, *y = *(const Listed *const *)b;
        size_t m = x->payload ? x->payload->size : 0, n = y->payload ? y->payload->size : 0;

        return m > n ? -1 : m < n;
}

static int put_nodes(FILE *f, const Listing *l)
{
        _cleanup_free_ const Listed **sorted = calloc(l->n_items + 1, sizeof(*sorted));
        char size[FORMAT_SIZE_MAX];

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_items; i++)
                sorted[i] = &l->items[i];
        qsort(sorted, l->n_items, sizeof(*sorted), compare_sizes);
        fputs("<table><tr><th>Node<th>Type<th class=\"n\">Size<th></tr>\n", f);
        for (size_t i = 0; i < MIN(l->n_items, (size_t)NODES_SHOWN) && sorted[i]->payload; i++) {
                double share = (double)sorted[i]->payload->size / (double)MAX(sorted[0]->payload->size, (size_t)1);

                fputs("<tr><td class=\"t\">", f);
                put_text(f, *sorted[i]->label.name ? sorted[i]->label.name : node_uuid(sorted[i]->node).text);
                fputs("<td>", f);
                put_text(f, sorted[i]->label.type);
                fprintf(f, "<td class=\"n\">%s<td class=\"w\"><span class=\"bar\" style=\"width:%.1f%%\"></span></tr>\n",
                        format_size(size, sizeof(size), sorted[i]->payload->size), MAX(share * 100, 0.5));
        }
        fputs("</table>\n", f);
        return 0;
}

static void put_snapshots(FILE *f, const ReportData *d)
{
        char time[FORMAT_SIZE_MAX], size[FORMAT_SIZE_MAX];
        size_t n = MIN(d->n_snapshots, (size_t)SNAPSHOTS_SHOWN);

        fputs("<table><tr><th class=\"n\">No<th>Time<th>Reason<th class=\"n\">Nodes<th class=\"n\">Size<th></tr>\n", f);
        for (size_t i = 0; i < n; i++) {
                const StoreSnapshotInfo *s = &d->snapshots[i];

                fprintf(f, "<tr><td class=\"n\">%" PRIu64 "<td>%s<td class=\"t\">", s->number, format_time(time, sizeof(time), s->time_usec));
                put_text(f, s->reason);
                fprintf(f, "<td class=\"n\">%" PRIu64 "<td class=\"n\">%s<td>%s%s", s->node_count,
                        format_size(size, sizeof(size), s->payload_bytes), s->intact ? "" : "damaged ",
                        s->pinned ? "pinned " : "");
                put_text(f, s->pin_name);
                fputs("</tr>\n", f);
        }
        fputs("</table>\n", f);
        if (n < d->n_snapshots)
                fprintf(f, "<p>The newest %zu of %zu.</p>\n", n, d->n_snapshots);
}

static void put_head(FILE *f, const ReportData *d)
{
        char first[FORMAT_SIZE_MAX], last[FORMAT_SIZE_MAX], now[FORMAT_SIZE_MAX];

        fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
              "content=\"width=device-width\"><title>",
              f);
        put_text(f, d->title);
        fprintf(f, "</title><style>%s</style></head>\n<body><h1>", style);
        put_text(f, d->title);
        fprintf(f, "</h1>\n<p>%s to %s, as kept on %s</p>\n", format_time(first, sizeof(first), d->history->first_usec),
                format_time(last, sizeof(last), d->history->last_usec), format_time(now, sizeof(now), d->now_usec));
        if (d->history->n_gaps > 0)
                fprintf(f, "<p>Records are missing in %zu places: damage, or a disk that was full.</p>\n", d->history->n_gaps);
}

int report_page_write(FILE *f, const ReportData *d)
{
        int r;

        put_head(f, d);
        fputs("<section><h2>Who changed the scene when</h2>\n", f);
        if (d->history->n_users > 0) {
                put_activity(f, d->history);
                put_users(f, d->history);
        } else {
                fputs("<p>Nobody changed anything in this time.</p>\n", f);
        }
        fputs("</section>\n<section><h2>Size of the scene</h2>\n", f);
        if (d->n_snapshots > 0)
                put_size(f, d);
        fputs("</section>\n<section><h2>Biggest nodes now</h2>\n", f);
        r = put_nodes(f, d->nodes);
        fputs("</section>\n<section><h2>Snapshots</h2>\n", f);
        put_snapshots(f, d);
        fputs("</section></body></html>\n", f);
        return r;
}
