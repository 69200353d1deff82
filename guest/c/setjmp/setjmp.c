/*
 * `setjmp` and `longjmp` on WebAssembly's exception handling.
 *
 * With `-mllvm -wasm-enable-sjlj` the compiler makes `longjmp` a throw of the tag `__c_longjmp`, and lets each function that
 * calls `setjmp` catch it: which of its calls, if any, the jump is for it asks `__wasm_setjmp_test`.
 */
#include <stdint.h>
#include <stdlib.h>

/* What is thrown: the compiler reads both. */
struct jump {
    void *buffer;
    int value;
};

/* What lies in a `jmp_buf`. */
struct buffer {
    /* The call of the function that called `setjmp`, and which call of `setjmp` in it. */
    void *invocation;
    uint32_t label;
    struct jump jump;
};

_Static_assert(sizeof(struct buffer) <= 4 * sizeof(void *), "a buffer has to fit a `jmp_buf`");

__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

void __wasm_setjmp(struct buffer *buffer, uint32_t label, void *invocation) {
    if (label == 0 || invocation == NULL) abort();
    buffer->invocation = invocation;
    buffer->label = label;
}

uint32_t __wasm_setjmp_test(const struct buffer *buffer, const void *invocation) { return buffer->invocation == invocation ? buffer->label : 0; }

_Noreturn void __wasm_longjmp(struct buffer *buffer, int value) {
    buffer->jump = (struct jump){buffer, value != 0 ? value : 1};
    /* The compiler's number for the tag of C. */
    __builtin_wasm_throw(1, &buffer->jump);
}
