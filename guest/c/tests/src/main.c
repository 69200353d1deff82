/* Any cut of the bytes gives the same messages; what is none is refused. Runs as WebAssembly; ends with 0 when all hold. */
#include "../../qyv/qyv.c"

static int passed, failed;

#define CHECK(what) ((what) ? (void)passed++ : (failed++, (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what)))

/* Feeds bytes in pieces of `step` and joins the messages, each in brackets, to `out`; gives how it ended. */
static qyv_error feed(qyv_framing framing, const char *from, size_t length, size_t step, char *out) {
    inbox in = {0};
    qyv_message message;
    qyv_error error;
    *out = 0;
    for (size_t at = 0;;) {
        while ((error = inbox_take(&in, framing, &message)) == QYV_OK && message.data != NULL) {
            CHECK(message.data[message.length] == 0);
            out += sprintf(out, "[%s]", message.data);
        }
        if (error != QYV_OK) break;
        size_t piece = length - at < step ? length - at : step;
        CHECK(bytes_reserve(&in.bytes, piece));
        memcpy(in.bytes.data + in.bytes.length, from + at, piece);
        in.bytes.length += piece;
        at += piece;
        in.ended = piece == 0;
    }
    CHECK(inbox_take(&in, framing, &message) == error);
    free(in.bytes.data);
    return error;
}

static bool gives(qyv_framing framing, const char *from, size_t length, const char *messages, qyv_error end) {
    char out[256];
    bool good = true;
    for (size_t step = 1; step <= length + 1; step++)
        good &= feed(framing, from, length, step, out) == end && strcmp(out, messages) == 0;
    return good;
}

#define GIVES(framing, from, messages, end) CHECK(gives(framing, from, sizeof(from) - 1, messages, end))

static void lines(void) {
    GIVES(QYV_LINES, "", "", QYV_END);
    GIVES(QYV_LINES, "one\ntwo\n", "[one][two]", QYV_END);
    GIVES(QYV_LINES, "\n\nlast", "[][][last]", QYV_END);
    GIVES(QYV_LINES, "dos\r\nunix\n", "[dos\r][unix]", QYV_END);
    GIVES(QYV_LINES, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7\n", "[h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7]", QYV_END);
    GIVES(QYV_LINES, "good\nb\xff\nnever\n", "[good]", QYV_MALFORMED);
    GIVES(QYV_LINES, "cut \xe2\x82", "", QYV_MALFORMED);
}

static void frames(void) {
    GIVES(QYV_FRAMES, "", "", QYV_END);
    GIVES(QYV_FRAMES, "\003one\000\002\n\n", "[one][][\n\n]", QYV_END);
    GIVES(QYV_FRAMES, "\003on", "", QYV_MALFORMED);
    GIVES(QYV_FRAMES, "\200", "", QYV_MALFORMED);
    GIVES(QYV_FRAMES, "\001a\200\000", "[a]", QYV_MALFORMED);
    GIVES(QYV_FRAMES, "\201\200\200\010", "", QYV_TOO_LONG);
    GIVES(QYV_FRAMES, "\377\377\377\377\377\377\377\377\377\001", "", QYV_TOO_LONG);
    static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, (1 << 21) - 1, 1 << 21, QYV_MESSAGE_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char head[LENGTH_BYTES_MAX];
        size_t count = length_encode(sizes[i], head), length, bytes;
        CHECK(length_decode((char *)head, count, &length, &bytes) == QYV_OK && length == sizes[i] && bytes == count);
        CHECK(length_decode((char *)head, count - 1, &length, &bytes) == QYV_OK && bytes == 0);
    }
}

/* A message of 16 MiB is one; a byte more is none, whether it ends or not. */
static void bound(void) {
    static char big[(16 << 20) + 8];
    memset(big, 'x', sizeof big);
    inbox in = {.bytes = {big, QYV_MESSAGE_BYTES_MAX + 1, 0, sizeof big}};
    qyv_message message;
    big[QYV_MESSAGE_BYTES_MAX] = '\n';
    CHECK(inbox_take(&in, QYV_LINES, &message) == QYV_OK && message.length == QYV_MESSAGE_BYTES_MAX);
    memset(big, 'x', sizeof big);
    in = (inbox){.bytes = {big, QYV_MESSAGE_BYTES_MAX, 0, sizeof big}};
    CHECK(inbox_take(&in, QYV_LINES, &message) == QYV_OK && message.data == NULL);
    in.bytes.length++;
    CHECK(inbox_take(&in, QYV_LINES, &message) == QYV_TOO_LONG);
    qyv_conn conn = {.fd = -1, .framing = QYV_FRAMES};
    CHECK(qyv_send(&conn, big, QYV_MESSAGE_BYTES_MAX + 1) == QYV_TOO_LONG);
    conn.framing = QYV_LINES;
    CHECK(qyv_send(&conn, big, QYV_MESSAGE_BYTES_MAX + 1) == QYV_TOO_LONG);
    CHECK(qyv_send(&conn, "a\nb", 3) == QYV_MALFORMED);
    CHECK(qyv_send(&conn, "\xed\xa0\x80", 3) == QYV_MALFORMED);
}

static void stream(void) {
    GIVES(QYV_STREAM, "", "", QYV_END);
    inbox in = {0};
    qyv_message message;
    CHECK(bytes_reserve(&in.bytes, 3));
    memcpy(in.bytes.data, "a\nb", 3);
    in.bytes.length = 3;
    CHECK(inbox_take(&in, QYV_STREAM, &message) == QYV_OK && message.length == 3);
    free(in.bytes.data);
}

static void addresses(void) {
    const char *name;
    size_t length;
    unsigned port;
    CHECK(address_parse("service://logger", &name, &length, &port) && length == 6 && port == 0);
    CHECK(address_parse("service://a-1/65535", &name, &length, &port) && length == 3 && port == 65535);
    static const char *const bad[] = {
        "", "logger", "http://logger", "service://", "service:///1", "service://.info", "service://..", "service://a/..", "service://a/.info",
        "service://a/", "service://a/0", "service://a/01", "service://a/+1", "service://a/65536", "service://a/1/2", "service://-a", "service://a-",
        "service://Logger", "service://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!address_parse(bad[i], &name, &length, &port));
}

static void listeners(void) {
    static const char fds[] = "5,6,7,8", names[] = "db/1,db/2,web,tcp://127.0.0.1:80";
    CHECK(listener_of("db", fds, names) == 5 && listener_of("db/2", fds, names) == 6);
    CHECK(listener_of("web", fds, names) == 7 && listener_of("tcp://127.0.0.1:80", fds, names) == 8);
    CHECK(listener_of("db/3", fds, names) < 0 && listener_of("d", fds, names) < 0 && listener_of("tcp:", fds, names) < 0);
    CHECK(listener_of("web", "5", "db,web") < 0 && listener_of("", "", "") < 0);
}

static void descriptions(void) {
    static const char info[] = "{\"name\":\"db\",\"description\":\"\\\"protocol\\\":\\\"stream\\\" {[\",\"up\":true,\"protocol\":\"frames\","
                               "\"ports\":[{\"port\":null,\"protocol\":\"frames\",\"up\":true},{\"protocol\" : \"lines\",\"port\": 80},{\"port\":81}]}\n";
    qyv_framing framing;
    CHECK(find_protocol(info, 0, &framing) == QYV_OK && framing == QYV_FRAMES);
    CHECK(find_protocol(info, 80, &framing) == QYV_OK && framing == QYV_LINES);
    CHECK(find_protocol(info, 81, &framing) == QYV_NO_PROTOCOL && find_protocol(info, 82, &framing) == QYV_UNKNOWN);
    CHECK(find_protocol("{\"protocol\":\"pigeons\"}", 0, &framing) == QYV_NO_PROTOCOL);
    for (size_t length = 0; length < sizeof info - 1; length++) {
        char cut[sizeof info] = {0};
        memcpy(cut, info, length);
        qyv_error error = find_protocol(cut, 0, &framing);
        CHECK(error == QYV_NO_PROTOCOL || length >= sizeof info - 3);
    }
}

static void without_services(void) {
    qyv_conn *conn;
    qyv_listener listener;
    char *secret;
    size_t length;
    CHECK(qyv_dial("service://nobody", QYV_TOLD, &conn) != QYV_OK && conn == NULL);
    CHECK(qyv_dial("nobody", QYV_TOLD, &conn) == QYV_BAD_ADDRESS);
    CHECK(qyv_listen("nobody", QYV_TOLD, &listener) == QYV_NOT_OFFERED);
    CHECK(qyv_secret("../etc/passwd", &secret, &length) == QYV_UNKNOWN && secret == NULL);
    CHECK(qyv_secret("..", &secret, &length) == QYV_UNKNOWN && qyv_secret("", &secret, &length) == QYV_UNKNOWN);
    qyv_close(NULL);
}

int main(void) {
    lines();
    frames();
    bound();
    stream();
    addresses();
    listeners();
    descriptions();
    without_services();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
