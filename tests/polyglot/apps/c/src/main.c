/* The contract app in C; `tests/polyglot/contract.md` says what each check does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "polyglot.h"

uint64_t splitmix64_next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void splitmix64_bytes(uint64_t *state, unsigned char *into, size_t length) {
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++, number >>= 8) {
        if (i % 8 == 0) number = splitmix64_next(state);
        into[i] = (unsigned char)number;
    }
}

uint64_t fnv1a_more(uint64_t hash, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++) hash = (hash ^ at[i]) * 0x100000001b3;
    return hash;
}

static void exits(const struct given *given) {
    printf("exit %s\n", given->nonce);
    exit((int)(1 + given->seed % 100));
}

static void args(const struct given *given) {
    for (int i = 0; i < given->more_count; i++) printf("arg %d %zu %s\n", i, strlen(given->more[i]), given->more[i]);
    printf("args %s\n", given->nonce);
}

static void env(const struct given *given) {
    for (int i = 0; i < given->more_count; i++) {
        const char *name = given->more[i], *value = getenv(name);
        if (value != NULL) printf("env %s=%s\n", name, value);
        else printf("env %s absent\n", name);
    }
    printf("env %s\n", given->nonce);
}

static void standard_input(const struct given *given) {
    static unsigned char piece[64 << 10];
    size_t length = 0, count;
    uint64_t hash = FNV_START;
    while ((count = fread(piece, 1, sizeof piece, stdin)) > 0) {
        length += count;
        hash = fnv1a_more(hash, piece, count);
    }
    if (ferror(stdin)) printf("stdin failed %s\n", strerror(errno));
    else printf("stdin %zu %016" PRIx64 "\n", length, hash);
    printf("stdin %s\n", given->nonce);
}

static void streams(const struct given *given) {
    for (int i = 0; i < 50; i++) {
        printf("out %d %s\n", i, given->nonce);
        fflush(stdout);
        fprintf(stderr, "err %d %s\n", i, given->nonce);
    }
}

static int64_t monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void clocks(const struct given *given) {
    int64_t last = monotonic_nanoseconds();
    int forward = 1;
    for (int i = 0; i < 1000; i++) {
        int64_t now = monotonic_nanoseconds();
        forward &= now >= last;
        last = now;
    }
    int64_t start = monotonic_nanoseconds();
    while (monotonic_nanoseconds() - start < 5000000) {}
    printf("clocks %s\n", forward ? "monotonic" : "backwards");
    time_t wall = time(NULL);
    int within = given->more_count >= 2 && atoll(given->more[0]) <= wall && wall <= atoll(given->more[1]);
    printf("clocks %s\n", within ? "within" : "outside");
    printf("clocks %s\n", given->nonce);
}

static void draw(unsigned char into[16]) {
    if (getentropy(into, 16) != 0) {
        perror("getentropy");
        exit(1);
    }
}

static int by_bytes(const void *one, const void *other) { return memcmp(one, other, 16); }

static void chance(const struct given *given) {
    (void)given;
    unsigned char draws[64][16], last[16];
    int distinct = 1;
    for (int i = 0; i < 64; i++) draw(draws[i]);
    qsort(draws, 64, 16, by_bytes);
    for (int i = 1; i < 64; i++) distinct += by_bytes(draws[i - 1], draws[i]) != 0;
    printf("random %d distinct\nrandom ", distinct);
    draw(last);
    for (int i = 0; i < 16; i++) printf("%02x", last[i]);
    putchar('\n');
}

static void sleeps(const struct given *given) {
    int64_t milliseconds = given->more_count > 0 ? atoll(given->more[0]) : 0;
    struct timespec span = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    int64_t start = monotonic_nanoseconds();
    nanosleep(&span, NULL);
    printf("sleep %s\n", monotonic_nanoseconds() - start >= milliseconds * 1000000 ? "enough" : "short");
    printf("sleep %s\n", given->nonce);
}

static void numbers(const struct given *given) {
    printf("signed %" PRId64 "\nunsigned %" PRIu64 "\n", (int64_t)given->seed, given->seed);
    printf("least %" PRId64 "\nmost %" PRId64 "\n", INT64_MIN, INT64_MAX);
    uint64_t state = given->seed;
    for (int i = 0; i < 4; i++) {
        /* Below 2^40, so that it is exact; an integer first, so that zero has no sign. */
        int64_t eighths = (int64_t)(splitmix64_next(&state) % (UINT64_C(1) << 40)) - (INT64_C(1) << 39);
        printf("fixed %.3f\n", (double)eighths / 8);
    }
}

static const struct {
    const char *name;
    void (*run)(const struct given *given);
} CHECKS[] = {
    {"exit", exits},         {"args", args},       {"env", env},         {"stdin", standard_input}, {"streams", streams},
    {"files", files},        {"missing", missing}, {"readonly", readonly}, {"big", big},            {"clocks", clocks},
    {"random", chance},      {"sleep", sleeps},    {"memory", memory},   {"loop", endless},         {"recursion", recursion},
    {"uncaught", uncaught},  {"dial", dial},       {"serve", serve},     {"refused", refused},      {"numbers", numbers},
};

int main(int count, char **arguments) {
    const char *check = count > 1 ? arguments[1] : "";
    struct given given = {
        .seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 0,
        .nonce = count > 3 ? arguments[3] : "",
        .more = arguments + (count < 4 ? count : 4),
        .more_count = count < 4 ? 0 : count - 4,
    };
    for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
        if (strcmp(CHECKS[i].name, check) == 0) {
            CHECKS[i].run(&given);
            return 0;
        }
    }
    fprintf(stderr, "there is no check `%s`\n", check);
    return 64;
}
