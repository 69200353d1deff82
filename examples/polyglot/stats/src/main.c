/*
 * The fourth stage, in C: statistics of how long the requests of each service took.
 *
 *     level \t service \t milliseconds \t text   takes a sample, and answers `kept`
 *     report                                     answers a line a service, then an empty one
 *
 * A line of the report: service, count, mean, standard deviation, 95th percentile, longest; tab after tab.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qyv.h"

/* Services that are told apart, and samples of each that percentiles are taken of: the last ones. */
enum { SERVICES_MAX = 64, SAMPLES_MAX = 4096, NAME_MAX_BYTES = 64 };

typedef struct series {
    char name[NAME_MAX_BYTES];
    unsigned long count;
    double mean, squares; /* Welford's running mean and sum of squared differences. */
    double longest;
    double last[SAMPLES_MAX];
} series;

static series *all[SERVICES_MAX];

static series *find(const char *name) {
    size_t at = 0;
    for (; at < SERVICES_MAX && all[at]; at++)
        if (strcmp(all[at]->name, name) == 0) return all[at];
    if (at == SERVICES_MAX || strlen(name) >= NAME_MAX_BYTES) return NULL;
    if ((all[at] = calloc(1, sizeof **all))) strcpy(all[at]->name, name);
    return all[at];
}

static void add(series *of, double milliseconds) {
    of->last[of->count++ % SAMPLES_MAX] = milliseconds;
    double away = milliseconds - of->mean;
    of->mean += away / (double)of->count;
    of->squares += away * (milliseconds - of->mean);
    if (milliseconds > of->longest) of->longest = milliseconds;
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The smallest sample that so many hundredths of all are not above. */
static double percentile(const series *of, double hundredths) {
    static double sorted[SAMPLES_MAX];
    size_t held = of->count < SAMPLES_MAX ? of->count : SAMPLES_MAX;
    memcpy(sorted, of->last, held * sizeof *sorted);
    qsort(sorted, held, sizeof *sorted, ascending);
    size_t rank = (size_t)ceil(hundredths / 100 * (double)held);
    return sorted[rank ? rank - 1 : 0];
}

static qyv_error report(qyv_conn *conn) {
    for (size_t at = 0; at < SERVICES_MAX && all[at]; at++) {
        const series *of = all[at];
        double deviation = of->count > 1 ? sqrt(of->squares / (double)(of->count - 1)) : 0;
        char line[NAME_MAX_BYTES + 160];
        snprintf(line, sizeof line, "%s\t%lu\t%.1f\t%.1f\t%.0f\t%.0f", of->name, of->count, of->mean, deviation,
                 percentile(of, 95), of->longest);
        qyv_error error = qyv_send_text(conn, line);
        if (error) return error;
    }
    return qyv_send_text(conn, "");
}

static qyv_error sample(qyv_conn *conn, const char *line) {
    char service[NAME_MAX_BYTES];
    double milliseconds;
    if (sscanf(line, "%*[^\t]\t%63[^\t]\t%lf\t", service, &milliseconds) != 2) return qyv_send_text(conn, "malformed");
    series *of = find(service);
    if (!of) return qyv_send_text(conn, "dropped");
    add(of, milliseconds);
    return qyv_send_text(conn, "kept");
}

int main(void) {
    qyv_listener listener;
    qyv_error error = qyv_listen("samples", QYV_LINES, &listener);
    while (!error) {
        qyv_conn *conn;
        if ((error = qyv_accept(&listener, &conn))) break;
        qyv_message line;
        qyv_error one;
        while (!(one = qyv_recv(conn, &line))) {
            one = strcmp(line.data, "report") == 0 ? report(conn) : sample(conn, line.data);
            if (one) break;
        }
        /* One that went away is no reason to stop. */
        if (one != QYV_END) fprintf(stderr, "a connection ended: %s\n", qyv_explain(one));
        qyv_close(conn);
    }
    fprintf(stderr, "%s\n", qyv_explain(error));
    return 1;
}
