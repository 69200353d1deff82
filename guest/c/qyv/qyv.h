/*
 * Reach other apps of a Qyvol host by the name of a service, and be reached. C11, for wasm32-wasi.
 *
 *     qyv_conn *logger;
 *     qyv_error error = qyv_dial("service://logger", QYV_TOLD, &logger);
 *     if (error == QYV_OK) error = qyv_send_text(logger, "a line");
 *     if (error != QYV_OK) fprintf(stderr, "%s\n", qyv_explain(error));
 *     qyv_close(logger);
 *
 * There is nothing underneath but WASI: to dial is to open `/svc/<name>`. Nothing here is meant for several threads.
 */
#ifndef QYV_H
#define QYV_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most bytes of a line, without its end, or of a frame, without its length: 16 MiB. */
#define QYV_MESSAGE_BYTES_MAX ((size_t)16 << 20)

/* How something ended. All but the first two are failures. */
typedef enum qyv_error {
    QYV_OK = 0,
    QYV_END,         /* The other side sends no more, or nobody connects any more. */
    QYV_DENIED,      /* The app was not granted this service; the same whether it exists or not. */
    QYV_UNKNOWN,     /* Nobody offers a service of this name, or it has no such port. */
    QYV_DOWN,        /* Nobody serves it now, or too many wait. It can be tried again. */
    QYV_RESET,       /* The other side died. */
    QYV_REVOKED,     /* The operator took the grant back. */
    QYV_CLOSED,      /* The other side receives no more, or this side said that it sends no more. */
    QYV_TOO_LONG,    /* A message of more than 16 MiB. */
    QYV_MALFORMED,   /* What is sent or has arrived is no message of the service's protocol. */
    QYV_NO_PROTOCOL, /* What the host says about the service is not understood; name the framing. */
    QYV_BAD_ADDRESS, /* Not `service://name` or `service://name/port`. */
    QYV_NOT_OFFERED, /* The app has no listening socket of this name. */
    QYV_NO_SERVICES, /* This program does not run on a host with services. */
    QYV_NO_MEMORY,   /* There is no memory for the message. */
    QYV_IO,          /* Something else: `errno` has it. */
} qyv_error;

/* How messages are told apart: the `proto` of a service. */
typedef enum qyv_framing {
    QYV_TOLD,   /* What the host says of the service that is dialled; lines for one that is served. */
    QYV_LINES,  /* UTF-8 lines, each ended by `\n`. A `\r` before it belongs to the line. */
    QYV_FRAMES, /* A length in unsigned LEB128, then that many bytes. */
    QYV_STREAM, /* Raw bytes: whatever arrives is a message. */
} qyv_framing;

/* Both ways to another app. */
typedef struct qyv_conn qyv_conn;

/* A listening socket. */
typedef struct qyv_listener {
    int fd;
    qyv_framing framing;
} qyv_listener;

/* What was received. A zero byte follows `data[length - 1]`, so that text can be used as it is. */
typedef struct qyv_message {
    const char *data;
    size_t length;
} qyv_message;

/* Says what a failure is and, where it can be mended, how. */
const char *qyv_explain(qyv_error error);

/*
 * Dials `service://name` or `service://name/port`, and waits until the connection stands or has failed. `*conn` is NULL when
 * it failed. Fails with QYV_DENIED, QYV_UNKNOWN, QYV_DOWN, QYV_NO_PROTOCOL, QYV_BAD_ADDRESS, QYV_NO_SERVICES, QYV_NO_MEMORY or QYV_IO.
 */
qyv_error qyv_dial(const char *address, qyv_framing framing, qyv_conn **conn);

/*
 * Finds a listening socket of this app by its name: a service of its manifest (`logger`, or `logger/9000` for the one of
 * several with this port), or an address of `net.listen` as it is written there. `framing` is what `proto` is in the
 * manifest. Fails with QYV_NOT_OFFERED.
 */
qyv_error qyv_listen(const char *name, qyv_framing framing, qyv_listener *listener);

/*
 * Waits for somebody to connect. QYV_END: the host takes no more connections for this app, as it is to stop. Fails with
 * QYV_NO_MEMORY or QYV_IO; those that wait are kept.
 */
qyv_error qyv_accept(const qyv_listener *listener, qyv_conn **conn);

/*
 * Sends a message, and waits until the other side's buffer has it. After QYV_TOO_LONG and QYV_MALFORMED nothing was sent and
 * the connection is as before; the other failures are QYV_CLOSED, QYV_RESET, QYV_REVOKED and QYV_IO.
 */
qyv_error qyv_send(qyv_conn *conn, const void *message, size_t length);

/* Sends a message that ends before its zero byte. */
qyv_error qyv_send_text(qyv_conn *conn, const char *message);

/*
 * Waits for a message: a line without its `\n`, a frame, or what has arrived of a stream. It stays where it is until the next
 * `qyv_recv` or `qyv_close`. QYV_END is the end. Fails with QYV_RESET, QYV_REVOKED, QYV_TOO_LONG, QYV_MALFORMED,
 * QYV_NO_MEMORY or QYV_IO; what is no message stays so for every later call.
 */
qyv_error qyv_recv(qyv_conn *conn, qyv_message *message);

/* Says that nothing more is sent. The other side receives what was sent and then the end, and can go on sending. */
qyv_error qyv_finish(qyv_conn *conn);

/* Ends the connection. NULL is nothing to end. */
void qyv_close(qyv_conn *conn);

/* The descriptor, for `poll`. A message may be complete without anything to read: call `qyv_recv` first when `qyv_pending`. */
int qyv_fd(const qyv_conn *conn);

/* Whether bytes have arrived that `qyv_recv` has not given out yet. */
bool qyv_pending(const qyv_conn *conn);

/*
 * Reads a secret that the operator gave to this app, as it is: no line break at its end is taken away. `*bytes` is to be
 * freed and has a zero byte after it. Fails with QYV_UNKNOWN when the app was given none of this name, or it is no name.
 */
qyv_error qyv_secret(const char *name, char **bytes, size_t *length);

#ifdef __cplusplus
}
#endif

#endif
