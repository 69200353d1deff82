// C++ exceptions for WebAssembly's exception handling: what Debian's libc++abi, built without, leaves out of the C++ ABI.
//
// The compiler catches by the tag `__cpp_exception`, writes which landing pad it is in and where the function's table lies
// into `__wasm_lpad_context`, and calls `_Unwind_CallPersonality` to learn which handler fits: the `selector`. Nothing unwinds
// a stack here; the engine does. `std::current_exception` and dynamic exception specifications are not offered.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <typeinfo>

namespace {

using destructor = void *(*)(void *);

// What lies before a thrown object, and what the tag carries the address of.
struct alignas(16) exception {
    const std::type_info *type;
    destructor destroy;
    // How many handlers it is in; negative while it is thrown again.
    int handlers;
    exception *next;
    // The object as the handler sees it.
    void *adjusted;

    void *object() { return this + 1; }
};

// How libc++abi lays its type descriptions out: `can_catch` is their third function beyond those of `std::type_info`.
struct description : std::type_info {
    virtual void noop1() const;
    virtual void noop2() const;
    virtual bool can_catch(const description *thrown, void *&adjusted) const = 0;
};

// The exceptions that are being handled, the innermost first.
exception *caught;

[[noreturn]] void fail(const char *why) {
    std::fprintf(stderr, "%s\n", why);
    std::abort();
}

uintptr_t unsigned_number(const uint8_t *&at) {
    uintptr_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *at++;
        number |= uintptr_t(byte & 0x7f) << shift;
        if (byte < 0x80) return number;
    }
}

intptr_t signed_number(const uint8_t *&at) {
    uintptr_t number = 0;
    for (unsigned shift = 0;;) {
        uint8_t byte = *at++;
        number |= uintptr_t(byte & 0x7f) << shift;
        shift += 7;
        if (byte >= 0x80) continue;
        if ((byte & 0x40) != 0 && shift < 8 * sizeof number) number |= ~uintptr_t(0) << shift;
        return intptr_t(number);
    }
}

// The handler of a landing pad that takes the exception; 0 when none does.
intptr_t selector(const uint8_t *table, uintptr_t pad, exception *thrown) {
    constexpr uint8_t omitted = 0xff;
    if (*table++ != omitted) unsigned_number(table);
    const uint8_t *types = nullptr;
    if (*table++ != omitted) {
        uintptr_t offset = unsigned_number(table);
        types = table + offset;
    }
    table++;
    uintptr_t length = unsigned_number(table);
    const uint8_t *actions = table + length;
    uintptr_t action = 0;
    for (uintptr_t i = 0; i <= pad && table < actions; i++) {
        unsigned_number(table);
        action = unsigned_number(table);
    }
    if (action == 0) return 0;
    for (const uint8_t *at = actions + action - 1;;) {
        intptr_t index = signed_number(at);
        if (index > 0) {
            auto *type = reinterpret_cast<const description *const *>(types)[-index];
            thrown->adjusted = thrown->object();
            if (type == nullptr || type->can_catch(static_cast<const description *>(thrown->type), thrown->adjusted)) return index;
        }
        const uint8_t *here = at;
        intptr_t offset = signed_number(at);
        if (offset == 0) return 0;
        at = here + offset;
    }
}

} // namespace

__asm__(".globl __cpp_exception\n"
        ".tagtype __cpp_exception i32\n"
        "__cpp_exception:\n");

extern "C" {

struct {
    uintptr_t pad;
    const uint8_t *table;
    uintptr_t selector;
} __wasm_lpad_context;

int _Unwind_CallPersonality(void *thrown) {
    auto &context = __wasm_lpad_context;
    context.selector = uintptr_t(selector(context.table, context.pad, static_cast<exception *>(thrown)));
    return 0;
}

void *__cxa_allocate_exception(size_t size) {
    void *memory = std::calloc(1, sizeof(exception) + size);
    if (memory == nullptr) fail("terminate: no memory for an exception");
    return static_cast<exception *>(memory) + 1;
}

void __cxa_free_exception(void *object) { std::free(static_cast<exception *>(object) - 1); }

[[noreturn]] void __cxa_throw(void *object, std::type_info *type, destructor destroy) {
    exception *thrown = static_cast<exception *>(object) - 1;
    thrown->type = type;
    thrown->destroy = destroy;
    thrown->adjusted = object;
    __builtin_wasm_throw(0, thrown);
}

void *__cxa_get_exception_ptr(void *thrown) { return static_cast<exception *>(thrown)->adjusted; }

void *__cxa_begin_catch(void *thrown) {
    auto *handled = static_cast<exception *>(thrown);
    handled->handlers = (handled->handlers < 0 ? -handled->handlers : handled->handlers) + 1;
    if (handled != caught) {
        handled->next = caught;
        caught = handled;
    }
    return handled->adjusted;
}

void __cxa_end_catch() {
    exception *handled = caught;
    if (handled == nullptr) return;
    if (handled->handlers < 0) {
        // It is thrown again: it leaves this handler, and lives.
        if (++handled->handlers == 0) caught = handled->next;
        return;
    }
    if (--handled->handlers > 0) return;
    caught = handled->next;
    if (handled->destroy != nullptr) handled->destroy(handled->object());
    std::free(handled);
}

[[noreturn]] void __cxa_rethrow() {
    if (caught == nullptr) fail("terminate: `throw;` outside of a handler");
    caught->handlers = -caught->handlers;
    __builtin_wasm_throw(0, caught);
}

// The linker puts this around the program (`--wrap=__main_void`), so that an exception that nobody catches is told.
int __real___main_void();

int __wrap___main_void() {
    try {
        return __real___main_void();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "terminate called after throwing `%s`: %s\n", typeid(error).name(), error.what());
    } catch (...) {
        std::fprintf(stderr, "terminate called after throwing `%s`\n", caught->type->name());
    }
    std::abort();
}

} // extern "C"
