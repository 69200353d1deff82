import qyv.*

fun dial(given: Given) {
    connect("service://polyglot-echo").use { echo ->
        echo.send(given.nonce)
        println("dial lines ${echo.receiveText()}")
    }
    connect("service://polyglot-frames").use { echo ->
        echo.send(given.nonce)
        println("dial frames ${echo.receiveText()}")
        echo.send(SplitMix64(given.seed).bytes(100_000))
        val back = echo.receive() ?: ByteArray(0)
        println("dial bytes ${back.size} ${Fnv1a().add(back)}")
    }
}

fun serve(given: Given) {
    val answered = listen("polyglot-served").accept().use { connection ->
        generateSequence { connection.receiveText() }
            .onEach { connection.send("served $it ${given.nonce}") }
            .count()
    }
    println("serve $answered ${given.nonce}")
}

fun refused(given: Given) {
    val what = outcome("connected") { connect("service://polyglot-secret").close() }
    val told = when (what) {
        Reason.DENIED.name -> "denied"
        "connected" -> what
        else -> "other"
    }
    println("refused $told ${given.nonce}")
}
