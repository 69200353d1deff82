/* Answers each line of each client with the same line, one client after the other. */
#include <stdio.h>

#include "qyv.h"

int main(void) {
    qyv_listener listener;
    qyv_error error = qyv_listen("echo", QYV_LINES, &listener);
    qyv_conn *client;
    while (error == QYV_OK && (error = qyv_accept(&listener, &client)) == QYV_OK) {
        qyv_message line;
        qyv_error talk;
        while ((talk = qyv_recv(client, &line)) == QYV_OK)
            if ((talk = qyv_send(client, line.data, line.length)) != QYV_OK) break;
        if (talk != QYV_END) fprintf(stderr, "a client: %s\n", qyv_explain(talk));
        qyv_close(client);
    }
    if (error == QYV_END) return 0;
    fprintf(stderr, "echo: %s\n", qyv_explain(error));
    return 1;
}
