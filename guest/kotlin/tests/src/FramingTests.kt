package qyv

fun framingTests() {
    test("what is packed is unpacked, however it is cut") {
        val messages = listOf("", "a", "ü漢", "x".repeat(127), "y".repeat(128), "z".repeat(70_000))
        for (framing in listOf(Framing.LINES, Framing.FRAMES)) {
            val bytes = messages.map { framing.pack(it.encodeToByteArray(), "test") }.reduce { all, more -> all + more }
            for (piece in listOf(1, 2, 3, 4095, 65536, bytes.size)) same(messages, unpack(framing, bytes, piece))
        }
    }
    test("a stream gives what came") {
        same(listOf("ab", "c"), unpack(Framing.STREAM, "abc".encodeToByteArray(), 2))
    }
    test("the length of a frame is LEB128") {
        same(listOf<Byte>(0), Framing.FRAMES.pack(ByteArray(0), "test").toList())
        same(listOf(0xac.toByte(), 2), Framing.FRAMES.pack(ByteArray(300), "test").take(2))
        // A length may be written longer than it must be.
        same(listOf("a"), unpack(Framing.FRAMES, byteArrayOf(0x81.toByte(), 0x80.toByte(), 0, 97), 1))
    }
    test("a line keeps its carriage return") { same(listOf("a\r", "b"), unpack(Framing.LINES, "a\r\nb".encodeToByteArray(), 9)) }
    test("a line without an end is the last") {
        same(listOf("a", "b"), unpack(Framing.LINES, "a\nb".encodeToByteArray(), 1))
        same(listOf("a"), unpack(Framing.LINES, "a\n".encodeToByteArray(), 1))
    }
    test("a frame without an end is a failure") {
        fails(Reason.RESET) { unpack(Framing.FRAMES, byteArrayOf(2, 97), 1) }
        fails(Reason.RESET) { unpack(Framing.FRAMES, byteArrayOf(0x80.toByte()), 1) }
    }
    test("a line holds no newline") { fails(Reason.MALFORMED) { Framing.LINES.pack("a\nb".encodeToByteArray(), "test") } }
    test("nothing is longer than 16 MiB") {
        fails(Reason.MESSAGE_TOO_LONG) { Framing.FRAMES.pack(ByteArray(MESSAGE_MAX + 1), "test") }
        val most = Framing.FRAMES.pack(ByteArray(MESSAGE_MAX), "test")
        same(MESSAGE_MAX, unpackBytes(Framing.FRAMES, most, 1 shl 20).single().size)
        // 16 MiB and one, then lengths of five bytes and without an end.
        for (head in listOf("8180800800", "ffffffff0f", "ffffffffffffffffffff")) {
            fails(Reason.MESSAGE_TOO_LONG) { unpack(Framing.FRAMES, head.hexToByteArray(), 1) }
        }
        fails(Reason.MESSAGE_TOO_LONG) { unpack(Framing.LINES, ByteArray(MESSAGE_MAX + 2) { 97 }, 1 shl 20) }
    }
}

/** The messages in bytes that come in pieces. */
private fun unpack(framing: Framing, bytes: ByteArray, piece: Int): List<String> =
    unpackBytes(framing, bytes, piece).map { it.decodeToString() }

private fun unpackBytes(framing: Framing, bytes: ByteArray, piece: Int): List<ByteArray> {
    val unpacking = Unpacking(framing, "test")
    val messages = mutableListOf<ByteArray>()
    for (from in bytes.indices step piece) {
        val part = bytes.copyOfRange(from, minOf(from + piece, bytes.size))
        unpacking.add(part, part.size)
        while (true) messages += unpacking.next() ?: break
    }
    unpacking.last()?.let { messages += it }
    return messages
}
