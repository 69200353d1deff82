/* Jumps arrive where they are meant for, with what they carry. Runs as WebAssembly; ends with 0 when all hold. */
#include <setjmp.h>
#include <stdio.h>

static jmp_buf outer, inner;
static int passed, failed;

static void check(int good, const char *what) {
    good ? passed++ : failed++;
    if (!good) fprintf(stderr, "wrong: %s\n", what);
}

static __attribute__((noinline)) void jump_from(int depth, jmp_buf where, int value) {
    if (depth > 0) jump_from(depth - 1, where, value);
    longjmp(where, value);
}

static __attribute__((noinline)) int between(int value) {
    switch (setjmp(inner)) {
    case 0: jump_from(3, value == 1 ? inner : outer, value);
    case 1: return 10;
    default: return 20;
    }
}

int main(void) {
    volatile int rounds = 0;
    int came = setjmp(outer);
    rounds++;
    if (came == 0) check(between(1) == 10, "a jump to the inner one"), between(7);
    check(came == 7 && rounds == 2, "a jump over a function that calls `setjmp` itself");
    for (volatile int i = 0; i < 100; i++) {
        jmp_buf here;
        int value = setjmp(here);
        if (value == 0) jump_from(i % 5, here, i);
        check(value == (i == 0 ? 1 : i), "a value, 1 for 0");
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
