/* Checks 13 to 16: what ends badly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "polyglot.h"

/* How much memory is taken at a time. */
#define PIECE_BYTES ((size_t)1 << 20)

static void say(const char *what, const struct given *given) {
    printf("%s %s\n", what, given->nonce);
    fflush(stdout);
}

void memory(const struct given *given) {
    say("memory", given);
    for (;;) {
        /* It is never freed; `volatile`, so that it is really taken and touched. */
        unsigned char *volatile piece = malloc(PIECE_BYTES);
        if (piece == NULL) {
            perror("malloc");
            abort();
        }
        memset(piece, 1, PIECE_BYTES);
    }
}

void endless(const struct given *given) {
    say("loop", given);
    for (volatile uint64_t number = given->seed;;) number = number * 31 + 1;
}

/* That is the check. */
#pragma clang diagnostic ignored "-Winfinite-recursion"

/* What is kept over the call, and used after it, keeps it a call. */
static uint64_t deeper(volatile uint64_t *from) {
    volatile uint64_t kept[8] = {*from + 1};
    return deeper(kept) + kept[0];
}

void recursion(const struct given *given) {
    say("recursion", given);
    volatile uint64_t from = given->seed;
    from = deeper(&from);
}

void uncaught(const struct given *given) {
    say("uncaught-next", given);
    fprintf(stderr, "uncaught %s\n", given->nonce);
    abort();
}
