// What is thrown arrives where it is caught, and nothing is left over. Runs as WebAssembly; ends with 0 when all hold.
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

static int passed, failed, alive;

static void check(bool good, const char *what) {
    (good ? passed : failed)++;
    if (!good) std::fprintf(stderr, "wrong: %s\n", what);
}

struct counted {
    counted() { alive++; }
    counted(const counted &) { alive++; }
    ~counted() { alive--; }
};
struct first {
    virtual ~first() = default;
    int number = 1;
};
struct second {
    virtual ~second() = default;
    int number = 2;
};
struct both : first, second {
    counted kept;
};

[[gnu::noinline]] static void throws(int what) {
    counted local;
    switch (what) {
    case 0: throw both();
    case 1: throw std::string("text");
    case 2: throw 4.5;
    case 3: throw "literal";
    case 4: throw counted();
    case 5: throw static_cast<const first *>(nullptr);
    default: break;
    }
}

[[gnu::noinline]] static std::string caught(int what) {
    counted local;
    try {
        try {
            throws(what);
            return "nothing";
        } catch (const second &base) {
            if (base.number == 2) throw;
        } catch (const std::string &text) {
            return text;
        } catch (counted copy) {
            return "copy";
        }
    } catch (first &base) {
        return "first " + std::to_string(base.number);
    } catch (double number) {
        return number == 4.5 ? "number" : "other number";
    } catch (const char *text) {
        return text;
    } catch (...) {
        return "anything";
    }
    return "fell through";
}

static void nested() {
    try {
        try {
            throw std::runtime_error("outer");
        } catch (const std::exception &outer) {
            try {
                throw std::logic_error("inner");
            } catch (const std::exception &inner) {
                check(inner.what() == std::string("inner"), "the inner one");
            }
            check(outer.what() == std::string("outer"), "the outer one lives");
            throw;
        }
    } catch (const std::runtime_error &again) {
        check(again.what() == std::string("outer"), "thrown again");
    }
}

int main() {
    const char *const wanted[] = {"first 1", "text", "number", "literal", "copy", "anything", "nothing"};
    for (int what = 0; what < 7; what++) check(caught(what) == wanted[what], wanted[what]);
    nested();
    try {
        check(std::map<int, int>().at(3) == 0, "an element that is not there");
    } catch (const std::out_of_range &) {
        check(true, "out of range");
    }
    int sum = 0;
    for (int i = 0; i < 10000; i++) try { throw i % 7; } catch (int j) { sum += j; }
    check(sum == 29994, "many");
    check(alive == 0, "destructors ran");
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
