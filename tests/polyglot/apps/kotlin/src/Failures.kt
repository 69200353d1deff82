fun memory(given: Given) {
    println("memory ${given.nonce}")
    val held = mutableListOf<ByteArray>()
    while (true) held += ByteArray(1 shl 20) { 1 }
}

fun endless(given: Given) {
    println("loop ${given.nonce}")
    var number = given.seed
    while (true) number = number * 6364136223846793005uL + 1442695040888963407uL
}

fun recursion(given: Given) {
    println("recursion ${given.nonce}")
    println(depth(given.seed.toInt() or 1))
}

/** Never ends: what is added after the call keeps it from being a loop. */
private fun depth(number: Int): Int = if (number == 0) 0 else depth(number + 2) + (number xor 1)

fun uncaught(given: Given) {
    println("uncaught-next ${given.nonce}")
    throw IllegalStateException("uncaught ${given.nonce}")
}
