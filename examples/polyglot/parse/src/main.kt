// The second stage, in Kotlin: takes a log line apart, and gives what it found to the next stage, tab after tab.

import qyv.*

/** `2026-11-22T10:00:01Z WARN cart 153ms checkout is slow` */
private val LINE = Regex("""\S+ (DEBUG|INFO|WARN|ERROR) ([a-z][a-z0-9-]*) (\d{1,9})ms (.*)""")

fun main() = program {
    val lines = listen("lines")
    while (true) {
        try {
            lines.accept().use { client -> connect("service://records").use { serve(client, it) } }
        } catch (failure: QyvException) {
            // Who asked, or who comes next, has gone: the others are served all the same.
            standardError.writeText("${failure.message}\n")
        }
    }
}

private fun serve(client: Connection, next: Connection) {
    for (line in generateSequence { client.receiveText() }) {
        val parts = LINE.matchEntire(line)?.groupValues?.drop(1)
        if (parts == null) {
            client.send("malformed")
        } else {
            next.send(parts.joinToString("\t"))
            client.send(next.receiveText() ?: return)
        }
    }
}
