#include "qyv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longest name of a service: that of a DNS label. */
#define NAME_BYTES_MAX 63
/* `/svc/`, a name, `/65535` or `/.info`, and the zero byte. */
#define PATH_BYTES_MAX (5 + NAME_BYTES_MAX + 6 + 1)
/* Most bytes of one read of a connection. */
#define READ_BYTES_MAX ((size_t)64 << 10)
/* Most bytes of a description or a secret. */
#define FILE_BYTES_MAX ((size_t)1 << 20)
/* Most bytes of the length of a frame: 28 bits, of which QYV_MESSAGE_BYTES_MAX takes 25. */
#define LENGTH_BYTES_MAX 4

const char *qyv_explain(qyv_error error) {
    switch (error) {
    case QYV_OK: return "nothing failed";
    case QYV_END: return "the other side sends no more, or nobody connects any more";
    case QYV_DENIED: return "it was not granted; `permissions: {net: {connect: [...]}}` of the manifest asks for it";
    case QYV_UNKNOWN: return "nobody offers this; `/svc` lists the services that can be dialled";
    case QYV_DOWN: return "the service is down, or too many wait for it; try again later";
    case QYV_RESET: return "the other side died";
    case QYV_REVOKED: return "the grant was taken back";
    case QYV_CLOSED: return "the connection is closed in this direction";
    case QYV_TOO_LONG: return "a message is longer than 16 MiB; send it in parts";
    case QYV_MALFORMED: return "this is no message of the service's protocol: a line is UTF-8 without a line break, a frame is whole";
    case QYV_NO_PROTOCOL: return "the protocol of the service is not known; name its framing";
    case QYV_BAD_ADDRESS: return "this is no address of a service; write `service://name` or `service://name/port`";
    case QYV_NOT_OFFERED: return "the app has no such listening socket; the manifest names them in `services` and `net.listen`";
    case QYV_NO_SERVICES: return "there are no services here; run the program with Qyvol";
    case QYV_NO_MEMORY: return "there is no memory for it";
    case QYV_IO: return strerror(errno);
    }
    return "unknown";
}

static qyv_error of_errno(int number) {
    switch (number) {
    case EACCES: return QYV_DENIED;
    case ENOENT: return QYV_UNKNOWN;
    case ECONNREFUSED: return QYV_DOWN;
    case ECONNRESET: return QYV_RESET;
    case ECONNABORTED: return QYV_REVOKED;
    case EPIPE: return QYV_CLOSED;
    case ENOTCAPABLE: return QYV_NO_SERVICES;
    case ENOMEM: return QYV_NO_MEMORY;
    default: return QYV_IO;
    }
}

/* ---- Bytes ---- */

/* Bytes in memory that grows; the first `taken` were given out. */
typedef struct bytes {
    char *data;
    size_t length, taken, room;
} bytes;

/* Makes room for `more` bytes and a zero byte. What was given out makes way. */
static bool bytes_reserve(bytes *b, size_t more) {
    if (b->taken > 0) {
        memmove(b->data, b->data + b->taken, b->length - b->taken);
        b->length -= b->taken;
        b->taken = 0;
    }
    size_t needed = b->length + more + 1;
    if (needed <= b->room) return true;
    size_t room = b->room * 2 > needed ? b->room * 2 : needed;
    char *data = realloc(b->data, room);
    if (data == NULL) return false;
    b->data = data;
    b->room = room;
    return true;
}

/* Reads a small file; the result has a zero byte after it. */
static qyv_error read_file(const char *path, bytes *into) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return of_errno(errno);
    qyv_error error = QYV_OK;
    for (;;) {
        if (into->length > FILE_BYTES_MAX) { error = QYV_TOO_LONG; break; }
        if (!bytes_reserve(into, 4096)) { error = QYV_NO_MEMORY; break; }
        ssize_t count = read(fd, into->data + into->length, 4096);
        if (count < 0) { error = of_errno(errno); break; }
        if (count == 0) break;
        into->length += (size_t)count;
    }
    int kept = errno;
    close(fd);
    errno = kept;
    if (error == QYV_OK) into->data[into->length] = 0;
    return error;
}

/* ---- Messages ---- */

static bool is_utf8(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        unsigned char first = *at++;
        if (first < 0x80) continue;
        int more = first >= 0xc2 && first <= 0xdf ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
        if (more == 0 || end - at < more) return false;
        /* The second byte rules out longer forms than needed, surrogates, and what is above U+10FFFF. */
        unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (*at < low || *at > high) return false;
        for (at++, more--; more > 0; at++, more--)
            if ((*at & 0xc0) != 0x80) return false;
    }
    return true;
}

/* Writes the length of a frame, and returns how many bytes that takes. */
static size_t length_encode(size_t length, unsigned char out[LENGTH_BYTES_MAX]) {
    size_t count = 0;
    for (; length >= 0x80; length >>= 7) out[count++] = (unsigned char)(length | 0x80);
    out[count++] = (unsigned char)length;
    return count;
}

/*
 * Reads the length of a frame. Gives the bytes that it takes, 0 when it has not all arrived.
 */
static qyv_error length_decode(const char *from, size_t arrived, size_t *length, size_t *bytes) {
    *length = *bytes = 0;
    for (size_t i = 0; i < arrived; i++) {
        unsigned char byte = (unsigned char)from[i];
        *length |= (size_t)(byte & 0x7f) << (7 * i);
        bool last = (byte & 0x80) == 0;
        if (last && byte == 0 && i > 0) return QYV_MALFORMED;
        if (*length > QYV_MESSAGE_BYTES_MAX || (!last && i + 1 == LENGTH_BYTES_MAX)) return QYV_TOO_LONG;
        if (last) {
            *bytes = i + 1;
            return QYV_OK;
        }
    }
    return QYV_OK;
}

/* What has arrived, and where the next message in it is. */
typedef struct inbox {
    bytes bytes;
    /* Bytes, from the first that was not taken, that hold no line end. */
    size_t searched;
    qyv_error failed;
    bool ended;
} inbox;

/*
 * Takes a message from what has arrived. QYV_OK with no data: more has to arrive. QYV_END: nothing is left and nothing comes.
 */
static qyv_error inbox_take(inbox *in, qyv_framing framing, qyv_message *message) {
    *message = (qyv_message){0};
    if (in->failed != QYV_OK) return in->failed;
    bytes *b = &in->bytes;
    size_t left = b->length - b->taken;
    if (left == 0) return in->ended ? QYV_END : QYV_OK;
    char *from = b->data + b->taken;
    size_t skip = 0, length = left, after = 0;
    if (framing == QYV_LINES) {
        char *end = memchr(from + in->searched, '\n', left - in->searched);
        length = end != NULL ? (size_t)(end - from) : left;
        if (length > QYV_MESSAGE_BYTES_MAX) return in->failed = QYV_TOO_LONG;
        if (end == NULL && !in->ended) {
            in->searched = left;
            return QYV_OK;
        }
        after = end != NULL;
        in->searched = 0;
        if (!is_utf8(from, length)) return in->failed = QYV_MALFORMED;
    } else if (framing == QYV_FRAMES) {
        qyv_error error = length_decode(from, left, &length, &skip);
        if (error != QYV_OK) return in->failed = error;
        if (skip == 0 || left - skip < length) return in->ended ? (in->failed = QYV_MALFORMED) : QYV_OK;
    }
    b->taken += skip + length + after;
    /*
     * The message moves to the front by the bytes before it, one at least when a frame or a line follows, so that its zero
     * byte overwrites nothing that is still to be given out.
     */
    char *data = from + skip;
    if (framing == QYV_FRAMES) {
        memmove(from, data, length);
        data = from;
    }
    data[length] = 0;
    *message = (qyv_message){data, length};
    return QYV_OK;
}

/* ---- Addresses and descriptions ---- */

static bool name_good(const char *name, size_t length) {
    if (length == 0 || length > NAME_BYTES_MAX || name[0] == '-' || name[length - 1] == '-') return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

/* A port in its shortest form, 1 to 65535; else 0. */
static unsigned port_parse(const char *text, size_t length) {
    unsigned port = 0;
    if (length == 0 || length > 5 || text[0] == '0') return 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= 65535 ? port : 0;
}

/* Takes `service://name/port` apart: how long the name is, where it is, and its port, 0 when there is none. */
static bool address_parse(const char *address, const char **name, size_t *length, unsigned *port) {
    static const char scheme[] = "service://";
    if (strncmp(address, scheme, sizeof scheme - 1) != 0) return false;
    *name = address + sizeof scheme - 1;
    *length = strcspn(*name, "/");
    *port = 0;
    const char *slash = *name + *length;
    if (*slash == '/' && (*port = port_parse(slash + 1, strlen(slash + 1))) == 0) return false;
    return name_good(*name, *length);
}

/* Goes past a JSON string, `at` being behind its first quote. NULL when it has no end. */
static const char *string_end(const char *at) {
    for (; *at != '"'; at++) {
        if (*at == '\\') at++;
        if (*at == 0) return NULL;
    }
    return at + 1;
}

static bool is_text(const char *from, const char *end, const char *wanted) {
    size_t length = strlen(wanted);
    return (size_t)(end - from) == length + 2 && memcmp(from + 1, wanted, length) == 0;
}

/*
 * Finds the protocol of a service, or of one of its ports, in what `/.info` says: one object in JSON, with `protocol` for
 * a dial without a port, and `ports`, a list of objects with `port` and `protocol`. Strings are passed over as a whole,
 * so that nothing in a description is taken for a key.
 */
static qyv_error find_protocol(const char *at, unsigned port, qyv_framing *framing) {
    int depth = 0, wanted = port == 0 ? 1 : 3;
    bool in_port = port == 0, seen = false;
    qyv_framing found = QYV_TOLD;
    while (*at != 0) {
        if (*at == '{' || *at == '[') {
            depth++;
            if (port != 0 && depth == 3) found = QYV_TOLD, in_port = false;
        } else if (*at == '}' || *at == ']') {
            if (depth == wanted && in_port) seen = true;
            if (depth == wanted && in_port && found != QYV_TOLD) {
                *framing = found;
                return QYV_OK;
            }
            depth--;
        } else if (*at == '"') {
            const char *key = at, *end = string_end(at + 1);
            if (end == NULL) return QYV_NO_PROTOCOL;
            at = end + strspn(end, " \t\r\n");
            if (*at != ':' || depth != wanted) continue;
            at++;
            at += strspn(at, " \t\r\n");
            if (is_text(key, end, "port")) {
                size_t digits = strspn(at, "0123456789");
                in_port = port != 0 && port_parse(at, digits) == port;
            } else if (is_text(key, end, "protocol") && *at == '"') {
                const char *value_end = string_end(at + 1);
                if (value_end == NULL) return QYV_NO_PROTOCOL;
                found = is_text(at, value_end, "lines") ? QYV_LINES
                    : is_text(at, value_end, "frames")  ? QYV_FRAMES
                    : is_text(at, value_end, "stream")  ? QYV_STREAM
                                                        : QYV_TOLD;
                at = value_end;
            }
            continue;
        }
        at++;
    }
    return port != 0 && !seen ? QYV_UNKNOWN : QYV_NO_PROTOCOL;
}

static qyv_error told(const char *name, size_t length, unsigned port, qyv_framing *framing) {
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "/svc/%.*s/.info", (int)length, name);
    bytes text = {0};
    qyv_error error = read_file(path, &text);
    if (error == QYV_OK) error = find_protocol(text.data, port, framing);
    free(text.data);
    return error;
}

/* ---- Connections ---- */

struct qyv_conn {
    int fd;
    qyv_framing framing;
    inbox inbox;
};

/* Takes over the descriptor. */
static qyv_error conn_new(int fd, qyv_framing framing, qyv_conn **conn) {
    *conn = calloc(1, sizeof **conn);
    if (*conn == NULL) {
        close(fd);
        return QYV_NO_MEMORY;
    }
    (*conn)->fd = fd;
    (*conn)->framing = framing;
    return QYV_OK;
}

qyv_error qyv_dial(const char *address, qyv_framing framing, qyv_conn **conn) {
    *conn = NULL;
    const char *name;
    size_t length;
    unsigned port;
    if (!address_parse(address, &name, &length, &port)) return QYV_BAD_ADDRESS;
    char path[PATH_BYTES_MAX];
    if (port == 0) snprintf(path, sizeof path, "/svc/%.*s", (int)length, name);
    else snprintf(path, sizeof path, "/svc/%.*s/%u", (int)length, name, port);
    int fd = open(path, O_RDWR);
    if (fd < 0) return of_errno(errno);
    if (framing == QYV_TOLD) {
        qyv_error error = told(name, length, port, &framing);
        if (error != QYV_OK) {
            close(fd);
            return error;
        }
    }
    return conn_new(fd, framing, conn);
}

/* The descriptor of a name in two lists with commas: the first that is called so, or the first port of a service that is. */
static int listener_of(const char *name, const char *fds, const char *names) {
    size_t wanted = strlen(name);
    int port_of = -1;
    while (*fds != 0 && *names != 0) {
        size_t listed = strcspn(names, ",");
        if (listed == wanted && memcmp(names, name, wanted) == 0) return atoi(fds);
        if (port_of < 0 && listed > wanted + 1 && memcmp(names, name, wanted) == 0 && names[wanted] == '/'
            && port_parse(names + wanted + 1, listed - wanted - 1) != 0) port_of = atoi(fds);
        names += listed + (names[listed] == ',');
        fds += strcspn(fds, ",");
        fds += *fds == ',';
    }
    return port_of;
}

qyv_error qyv_listen(const char *name, qyv_framing framing, qyv_listener *listener) {
    const char *fds = getenv("QYV_LISTEN_FDS"), *names = getenv("QYV_LISTEN_NAMES");
    if (strncmp(name, "service://", 10) == 0) name += 10;
    int fd = fds != NULL && names != NULL ? listener_of(name, fds, names) : -1;
    *listener = (qyv_listener){fd, framing == QYV_TOLD ? QYV_LINES : framing};
    return fd < 0 ? QYV_NOT_OFFERED : QYV_OK;
}

qyv_error qyv_accept(const qyv_listener *listener, qyv_conn **conn) {
    *conn = NULL;
    int fd = accept(listener->fd, NULL, NULL);
    if (fd >= 0) return conn_new(fd, listener->framing, conn);
    /* The host closes the listening sockets of an app that is to stop. */
    return errno == EBADF ? QYV_END : of_errno(errno);
}

static qyv_error write_all(int fd, const void *from, size_t length) {
    for (const char *at = from; length > 0;) {
        ssize_t count = write(fd, at, length);
        if (count < 0) return of_errno(errno);
        if (count == 0) return QYV_CLOSED;
        at += count;
        length -= (size_t)count;
    }
    return QYV_OK;
}

qyv_error qyv_send(qyv_conn *conn, const void *message, size_t length) {
    unsigned char head[LENGTH_BYTES_MAX];
    qyv_error error;
    switch (conn->framing) {
    case QYV_LINES: {
        if (length > QYV_MESSAGE_BYTES_MAX) return QYV_TOO_LONG;
        if (length > 0 && (memchr(message, '\n', length) != NULL || !is_utf8(message, length))) return QYV_MALFORMED;
        error = write_all(conn->fd, message, length);
        return error != QYV_OK ? error : write_all(conn->fd, "\n", 1);
    }
    case QYV_FRAMES:
        if (length > QYV_MESSAGE_BYTES_MAX) return QYV_TOO_LONG;
        error = write_all(conn->fd, head, length_encode(length, head));
        return error != QYV_OK ? error : write_all(conn->fd, message, length);
    case QYV_STREAM:
    case QYV_TOLD: break;
    }
    return write_all(conn->fd, message, length);
}

qyv_error qyv_send_text(qyv_conn *conn, const char *message) { return qyv_send(conn, message, strlen(message)); }

qyv_error qyv_recv(qyv_conn *conn, qyv_message *message) {
    inbox *in = &conn->inbox;
    for (;;) {
        qyv_error error = inbox_take(in, conn->framing, message);
        if (error != QYV_OK || message->data != NULL) return error;
        if (!bytes_reserve(&in->bytes, READ_BYTES_MAX)) return QYV_NO_MEMORY;
        ssize_t count = read(conn->fd, in->bytes.data + in->bytes.length, READ_BYTES_MAX);
        if (count < 0) return of_errno(errno);
        in->bytes.length += (size_t)count;
        in->ended = count == 0;
    }
}

qyv_error qyv_finish(qyv_conn *conn) { return shutdown(conn->fd, SHUT_WR) < 0 ? of_errno(errno) : QYV_OK; }

void qyv_close(qyv_conn *conn) {
    if (conn == NULL) return;
    close(conn->fd);
    free(conn->inbox.bytes.data);
    free(conn);
}

int qyv_fd(const qyv_conn *conn) { return conn->fd; }

bool qyv_pending(const qyv_conn *conn) { return conn->inbox.bytes.taken < conn->inbox.bytes.length; }

/* ---- Secrets ---- */

qyv_error qyv_secret(const char *name, char **secret, size_t *length) {
    *secret = NULL;
    *length = 0;
    char path[256];
    if (*name == 0 || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return QYV_UNKNOWN;
    if (snprintf(path, sizeof path, "/run/secrets/%s", name) >= (int)sizeof path) return QYV_UNKNOWN;
    bytes text = {0};
    qyv_error error = read_file(path, &text);
    if (error != QYV_OK) {
        free(text.data);
        return error;
    }
    *secret = text.data;
    *length = text.length;
    return QYV_OK;
}
