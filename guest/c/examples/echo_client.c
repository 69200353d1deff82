/* Sends each argument to the service `echo`, and prints what comes back. */
#include <stdio.h>

#include "qyv.h"

int main(int count, char **arguments) {
    qyv_conn *echo;
    qyv_error error = qyv_dial("service://echo", QYV_TOLD, &echo);
    for (int i = 1; error == QYV_OK && i < count; i++) {
        qyv_message line;
        if ((error = qyv_send_text(echo, arguments[i])) == QYV_OK && (error = qyv_recv(echo, &line)) == QYV_OK) puts(line.data);
    }
    qyv_close(echo);
    if (error == QYV_OK) return 0;
    fprintf(stderr, "service://echo: %s\n", qyv_explain(error));
    return 1;
}
