/* Checks 6 to 9: files. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "polyglot.h"

/* What `big` writes, and how much of it at a time. */
#define BIG_BYTES ((size_t)10 << 20)
#define PIECE_BYTES ((size_t)64 << 10)
/* The longest path: `/data/missing-` and a nonce. */
#define PATH_BYTES_MAX 64

/* Makes a file of this text, or appends it; 0 when it worked. */
static int put(const char *path, const char *mode, const char *text) {
    FILE *file = fopen(path, mode);
    if (file == NULL) return -1;
    int failed = fputs(text, file) < 0;
    return fclose(file) != 0 || failed ? -1 : 0;
}

/* Hashes a file; 0 when it worked. */
static int hash_file(const char *path, size_t *length, uint64_t *hash) {
    static unsigned char piece[PIECE_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) return -1;
    size_t count;
    *length = 0;
    *hash = FNV_START;
    while ((count = fread(piece, 1, sizeof piece, file)) > 0) {
        *length += count;
        *hash = fnv1a_more(*hash, piece, count);
    }
    int failed = ferror(file);
    return fclose(file) != 0 || failed ? -1 : 0;
}

static int is_entry(const struct dirent *entry) { return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0; }

static int by_bytes(const struct dirent **one, const struct dirent **other) { return strcmp((*one)->d_name, (*other)->d_name); }

static int try_files(const char *nonce) {
    char folder[PATH_BYTES_MAX], a[PATH_BYTES_MAX + 2], b[PATH_BYTES_MAX + 2], c[PATH_BYTES_MAX + 2];
    snprintf(folder, sizeof folder, "/data/%s", nonce);
    snprintf(a, sizeof a, "%s/a", folder);
    snprintf(b, sizeof b, "%s/b", folder);
    snprintf(c, sizeof c, "%s/c", folder);
    if (mkdir(folder, 0777) != 0 || put(a, "w", "one\n") != 0) return -1;
    puts("files created");
    struct stat status;
    if (put(a, "a", "two\n") != 0 || stat(a, &status) != 0) return -1;
    printf("files appended %lld\n", (long long)status.st_size);
    if (rename(a, b) != 0) return -1;
    puts("files renamed");
    struct dirent **entries;
    int count;
    if (put(c, "w", "") != 0 || (count = scandir(folder, &entries, is_entry, by_bytes)) < 0) return -1;
    printf("files listed");
    for (int i = 0; i < count; i++) {
        printf(" %s", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    putchar('\n');
    size_t length;
    uint64_t hash;
    if (hash_file(b, &length, &hash) != 0) return -1;
    printf("files read %016" PRIx64 "\n", hash);
    if (unlink(b) != 0 || unlink(c) != 0 || rmdir(folder) != 0) return -1;
    puts("files removed");
    printf("files %s\n", stat(folder, &status) != 0 && errno == ENOENT ? "gone" : "there");
    return 0;
}

void files(const struct given *given) {
    if (try_files(given->nonce) != 0) printf("files failed %s\n", strerror(errno));
}

void missing(const struct given *given) {
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "/data/missing-%s", given->nonce);
    FILE *file = fopen(path, "r");
    printf("missing %s %s\n", file == NULL && errno == ENOENT ? "not-found" : "other", given->nonce);
    if (file != NULL) fclose(file);
}

static const char *opens(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (file == NULL) return "refused";
    fclose(file);
    return "allowed";
}

void readonly(const struct given *given) {
    static const char fixed[] = "/texts/fixed.txt";
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "/texts/new-%s", given->nonce);
    const char *opened = opens(fixed, "r+"), *created = opens(path, "w"), *removed = remove(fixed) != 0 ? "refused" : "allowed";
    printf("readonly %s %s %s\n", opened, created, removed);
    size_t length;
    uint64_t hash;
    if (hash_file(fixed, &length, &hash) != 0) printf("readonly failed %s\n", strerror(errno));
    else printf("readonly read %016" PRIx64 "\n", hash);
}

static int try_big(const struct given *given) {
    static unsigned char piece[PIECE_BYTES];
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "/data/big-%s", given->nonce);
    FILE *file = fopen(path, "wb");
    if (file == NULL) return -1;
    uint64_t state = given->seed, hash;
    for (size_t left = BIG_BYTES; left > 0; left -= sizeof piece) {
        splitmix64_bytes(&state, piece, sizeof piece);
        if (fwrite(piece, 1, sizeof piece, file) != sizeof piece) {
            fclose(file);
            return -1;
        }
    }
    size_t length;
    if (fclose(file) != 0 || hash_file(path, &length, &hash) != 0 || unlink(path) != 0) return -1;
    printf("big %zu %016" PRIx64 "\n", length, hash);
    return 0;
}

void big(const struct given *given) {
    if (try_big(given) != 0) printf("big failed %s\n", strerror(errno));
    printf("big %s\n", given->nonce);
}
