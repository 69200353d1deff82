// The contract app in Kotlin; tests/polyglot/contract.md says what each check does.

import kotlin.time.Duration.Companion.milliseconds
import qyv.*

/** What every check is given: the seed, the nonce, and the arguments after it. */
class Given(val seed: ULong, val nonce: String, val more: List<String>)

fun main() = program {
    val arguments = arguments()
    val given = Given(
        arguments.getOrNull(1)?.toULongOrNull() ?: 0uL,
        arguments.getOrNull(2).orEmpty(),
        arguments.drop(3),
    )
    when (val check = arguments.firstOrNull()) {
        "exit" -> {
            println("exit ${given.nonce}")
            exit(1 + (given.seed % 100uL).toInt())
        }
        "args" -> args(given)
        "env" -> variables(given)
        "stdin" -> stdin(given)
        "streams" -> streams(given)
        "files" -> files(given)
        "missing" -> missing(given)
        "readonly" -> readonly(given)
        "big" -> big(given)
        "clocks" -> clocks(given)
        "random" -> random()
        "sleep" -> sleeping(given)
        "memory" -> memory(given)
        "loop" -> endless(given)
        "recursion" -> recursion(given)
        "uncaught" -> uncaught(given)
        "dial" -> dial(given)
        "serve" -> serve(given)
        "refused" -> refused(given)
        "numbers" -> numbers(given)
        else -> {
            standardError.writeText("there is no check `$check`\n")
            exit(64)
        }
    }
}

fun args(given: Given) {
    given.more.forEachIndexed { position, argument ->
        println("arg $position ${argument.encodeToByteArray().size} $argument")
    }
    println("args ${given.nonce}")
}

fun variables(given: Given) {
    val all = environment()
    for (name in given.more) println(all[name]?.let { "env $name=$it" } ?: "env $name absent")
    println("env ${given.nonce}")
}

fun stdin(given: Given) {
    val bytes = standardInput.readAll()
    println("stdin ${bytes.size} ${Fnv1a().add(bytes)}")
    println("stdin ${given.nonce}")
}

fun streams(given: Given) {
    for (i in 0 until 50) {
        println("out $i ${given.nonce}")
        standardError.writeText("err $i ${given.nonce}\n")
    }
}

fun clocks(given: Given) {
    var last = monotonicTime()
    var forward = true
    repeat(1000) {
        val now = monotonicTime()
        forward = forward && now >= last
        last = now
    }
    val start = monotonicTime()
    while (monotonicTime() - start < 5.milliseconds) {
        // Only looking at the clock.
    }
    println(if (forward) "clocks monotonic" else "clocks backwards")
    val wall = wallNanoseconds() / 1_000_000_000
    val (low, high) = given.more.map { it.toLong() }
    println(if (wall in low..high) "clocks within" else "clocks outside")
    println("clocks ${given.nonce}")
}

fun random() {
    val distinct = List(64) { randomBytes(16).toList() }.toSet()
    println("random ${distinct.size} distinct")
    println("random ${randomBytes(16).toHexString()}")
}

fun sleeping(given: Given) {
    val time = given.more.first().toInt().milliseconds
    val start = monotonicTime()
    sleep(time)
    println(if (monotonicTime() - start >= time) "sleep enough" else "sleep short")
    println("sleep ${given.nonce}")
}

fun numbers(given: Given) {
    println("signed ${given.seed.toLong()}")
    println("unsigned ${given.seed}")
    println("least ${Long.MIN_VALUE}")
    println("most ${Long.MAX_VALUE}")
    val generator = SplitMix64(given.seed)
    repeat(4) {
        val eighths = (generator.next() % (1uL shl 40)).toLong() - (1L shl 39)
        println("fixed ${fixed(eighths / 8.0)}")
    }
}

/** Three decimals: Kotlin's library for WASI has no `format`. What is given here is a multiple of an eighth, so nothing is rounded. */
fun fixed(number: Double): String {
    val thousandths = (number * 1000).toLong()
    val magnitude = if (thousandths < 0) -thousandths else thousandths
    val sign = if (thousandths < 0) "-" else ""
    return "$sign${magnitude / 1000}.${(magnitude % 1000).toString().padStart(3, '0')}"
}
