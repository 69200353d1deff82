/* `setjmp` and `longjmp`, which Debian's C library for WebAssembly has not; `setjmp.c` says how. */
#ifndef QYV_SETJMP_H
#define QYV_SETJMP_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    void *slots[4];
} jmp_buf[1];

/* The first time 0; then what `longjmp` was given, 1 for 0. A macro in most libraries, a function that the compiler knows here. */
int setjmp(jmp_buf) __attribute__((returns_twice));

__attribute__((noreturn)) void longjmp(jmp_buf, int);

#ifdef __cplusplus
}
#endif

#endif
