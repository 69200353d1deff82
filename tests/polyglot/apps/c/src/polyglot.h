/* What the parts of the contract app share. */
#ifndef POLYGLOT_H
#define POLYGLOT_H

#include <stddef.h>
#include <stdint.h>

/* What every check is given. */
struct given {
    uint64_t seed;
    const char *nonce;
    /* The arguments after the nonce. */
    char **more;
    int more_count;
};

#define FNV_START 0xcbf29ce484222325u

/* SplitMix64; the seed is its first state. */
uint64_t splitmix64_next(uint64_t *state);

/* The next bytes of it, whole numbers of which the last is cut. */
void splitmix64_bytes(uint64_t *state, unsigned char *into, size_t length);

/* Goes on with a 64-bit FNV-1a over more bytes. */
uint64_t fnv1a_more(uint64_t hash, const void *bytes, size_t length);

void files(const struct given *given);
void missing(const struct given *given);
void readonly(const struct given *given);
void big(const struct given *given);

void memory(const struct given *given);
void endless(const struct given *given);
void recursion(const struct given *given);
void uncaught(const struct given *given);

void dial(const struct given *given);
void serve(const struct given *given);
void refused(const struct given *given);

#endif
