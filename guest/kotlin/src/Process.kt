package qyv

import kotlin.time.Duration
import kotlin.time.Duration.Companion.nanoseconds

/** The program's arguments, without its name. (`main` of Kotlin for WASI gets none.) */
fun arguments(): List<String> = list("arguments", ::argsSizesGet, ::argsGet).drop(1)

/** The variables of the environment. */
fun environment(): Map<String, String> =
    list("environment", ::environSizesGet, ::environGet).associate { it.substringBefore('=') to it.substringAfter('=', "") }

/** Ends the program with a code from 0 to 255. */
fun exit(code: Int): Nothing {
    procExit(code)
    throw IllegalStateException("`proc_exit` returned")
}

/** Runs [program]; an exception that it throws is told on standard error, and the program ends with code 1, as on the JVM. */
fun program(program: () -> Unit) {
    try {
        program()
    } catch (failure: Throwable) {
        standardError.writeText("Exception in the program: ${failure.stackTraceToString()}\n")
        exit(1)
    }
}

/** A number of bytes from the system's source of random numbers. */
fun randomBytes(size: Int): ByteArray = scratch {
    val at = room(size)
    check("random", randomGet(at, size))
    bytes(at, size)
}

/** Waits; other parts of the program wait with it. */
fun sleep(time: Duration) {
    if (!time.isPositive()) return
    scratch {
        val subscription = room(48)
        for (word in 0 until 6) setLong(subscription + 8 * word, 0)
        setInt(subscription + 16, CLOCK_MONOTONIC)
        setLong(subscription + 24, time.inWholeNanoseconds)
        check("sleep", pollOneoff(subscription, room(32), 1, room(8)))
    }
}

/** How much time has gone by since an unknown moment; never goes back. */
fun monotonicTime(): Duration = clock(CLOCK_MONOTONIC).nanoseconds

/** Nanoseconds since the beginning of 1970, UTC. */
fun wallNanoseconds(): Long = clock(0)

/** A secret that the manifest asks for, from `/run/secrets`. */
fun secret(name: String): ByteArray = readBytes("/run/secrets/$name")

private const val CLOCK_MONOTONIC = 1

private fun clock(clock: Int): Long = scratch {
    val at = room(8)
    check("clock", clockTimeGet(clock, 1, at))
    long(at)
}

private fun list(subject: String, sizes: (Int, Int) -> Int, get: (Int, Int) -> Int): List<String> = scratch {
    val count = room(8)
    val size = room(8)
    check(subject, sizes(count, size))
    val pointers = room(4 * int(count))
    check(subject, get(pointers, room(int(size))))
    List(int(count)) { text(int(pointers + 4 * it)) }
}
