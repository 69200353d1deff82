// Runs under Qyvol: `qyvol build && qyvol run .` in this folder. Prints a line for each test that fails, and ends with 1.

package qyv

private var passed = 0
private var failed = 0

fun main() = program {
    framingTests()
    jsonTests()
    fileTests()
    println("$passed passed, $failed failed")
    if (failed > 0) exit(1)
}

/** Runs a test; what it throws is a failure. */
fun test(name: String, body: () -> Unit) {
    try {
        body()
        passed++
    } catch (failure: Throwable) {
        failed++
        println("FAILED $name: $failure")
    }
}

fun <T> same(expected: T, found: T) {
    if (expected != found) throw AssertionError("expected `$expected`, found `$found`")
}

/** That [action] fails for this reason. */
fun fails(reason: Reason, action: () -> Unit) {
    try {
        action()
    } catch (failure: QyvException) {
        return same(reason, failure.reason)
    }
    throw AssertionError("expected $reason, and nothing failed")
}
