/* Checks 17 to 19: services, through the SDK. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "polyglot.h"
#include "qyv.h"

/* What is sent in one frame. */
#define FRAME_BYTES 100000

/* Sends a message and waits for one. */
static qyv_error ask(qyv_conn *conn, const void *message, size_t length, qyv_message *answer) {
    qyv_error error = qyv_send(conn, message, length);
    return error != QYV_OK ? error : qyv_recv(conn, answer);
}

static qyv_error try_lines(const struct given *given) {
    qyv_conn *conn;
    qyv_message answer;
    qyv_error error = qyv_dial("service://polyglot-echo", QYV_TOLD, &conn);
    if (error == QYV_OK) error = ask(conn, given->nonce, strlen(given->nonce), &answer);
    if (error == QYV_OK) printf("dial lines %s\n", answer.data);
    qyv_close(conn);
    return error;
}

static qyv_error try_frames(const struct given *given) {
    static unsigned char bytes[FRAME_BYTES];
    uint64_t state = given->seed;
    splitmix64_bytes(&state, bytes, sizeof bytes);
    qyv_conn *conn;
    qyv_message answer;
    qyv_error error = qyv_dial("service://polyglot-frames", QYV_TOLD, &conn);
    if (error == QYV_OK) error = ask(conn, given->nonce, strlen(given->nonce), &answer);
    if (error == QYV_OK) printf("dial frames %s\n", answer.data);
    if (error == QYV_OK) error = ask(conn, bytes, sizeof bytes, &answer);
    if (error == QYV_OK) printf("dial bytes %zu %016" PRIx64 "\n", answer.length, fnv1a_more(FNV_START, answer.data, answer.length));
    qyv_close(conn);
    return error;
}

void dial(const struct given *given) {
    qyv_error error = try_lines(given);
    if (error == QYV_OK) error = try_frames(given);
    if (error != QYV_OK) printf("dial failed %s\n", qyv_explain(error));
}

void serve(const struct given *given) {
    qyv_listener listener;
    qyv_conn *client = NULL;
    qyv_message line;
    int lines = 0;
    qyv_error error = qyv_listen("polyglot-served", QYV_LINES, &listener);
    if (error == QYV_OK) error = qyv_accept(&listener, &client);
    while (error == QYV_OK && (error = qyv_recv(client, &line)) == QYV_OK) {
        char *answer = NULL;
        int length = asprintf(&answer, "served %s %s", line.data, given->nonce);
        error = length >= 0 ? qyv_send(client, answer, (size_t)length) : QYV_NO_MEMORY;
        free(answer);
        lines += error == QYV_OK;
    }
    qyv_close(client);
    if (error == QYV_END) printf("serve %d %s\n", lines, given->nonce);
    else printf("serve failed %s\n", qyv_explain(error));
}

void refused(const struct given *given) {
    qyv_conn *conn;
    qyv_error error = qyv_dial("service://polyglot-secret", QYV_TOLD, &conn);
    const char *what = error == QYV_OK ? "connected" : error == QYV_DENIED ? "denied" : "other";
    qyv_close(conn);
    printf("refused %s %s\n", what, given->nonce);
}
