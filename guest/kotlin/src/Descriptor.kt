package qyv

/** Something open: a file, a standard stream, a connection. Reading and writing wait; [close] it when done. */
class Descriptor internal constructor(internal val number: Int, internal val subject: String) : AutoCloseable {
    private var open = true

    /** Reads what is there, at most [size] bytes from [from] on; waits when there is nothing. Returns how many; 0 is the end. */
    fun read(into: ByteArray, from: Int = 0, size: Int = into.size - from): Int {
        require(from >= 0 && size >= 0 && from <= into.size - size) { "not a part of the array" }
        val most = minOf(size, PIECE)
        if (most == 0) return 0
        return scratch {
            val at = room(most)
            val count = room(8)
            check(subject, fdRead(number, buffer(at, most), 1, count))
            int(count).also { copy(at, into, from, it) }
        }
    }

    /** Reads to the end. */
    fun readAll(): ByteArray {
        var bytes = ByteArray(PIECE)
        var size = 0
        while (true) {
            if (size == bytes.size) bytes = bytes.copyOf(size * 2)
            val read = read(bytes, size)
            if (read == 0) return bytes.copyOf(size)
            size += read
        }
    }

    /** Writes all of it. */
    fun write(bytes: ByteArray, from: Int = 0, size: Int = bytes.size - from) {
        require(from >= 0 && size >= 0 && from <= bytes.size - size) { "not a part of the array" }
        var done = 0
        while (done < size) {
            val most = minOf(size - done, PIECE)
            done += scratch {
                val count = room(8)
                check(subject, fdWrite(number, buffer(put(bytes, from + done, most), most), 1, count))
                int(count)
            }
        }
    }

    /** Writes text as UTF-8. */
    fun writeText(text: String) = write(text.encodeToByteArray())

    /** Goes to a place in a file, counted in bytes from its beginning. */
    fun seek(position: Long) = scratch { check(subject, fdSeek(number, position, 0, room(8))) }

    /** Returns when what was written is on the disk. */
    fun sync() = check(subject, fdSync(number))

    override fun close() {
        if (open) {
            open = false
            fdClose(number)
        }
    }

    private fun Scratch.buffer(at: Int, size: Int): Int = room(8).also {
        setInt(it, at)
        setInt(it + 4, size)
    }

    private companion object {
        /** How much goes through one call at most: it is copied between Kotlin's memory and that of WASI. */
        const val PIECE = 65536
    }
}

/** What the program reads. */
val standardInput = Descriptor(0, "standard input")

/** What the program prints; `print` writes there too. Nothing is held back. */
val standardOutput = Descriptor(1, "standard output")

/** Where the program says what went wrong. */
val standardError = Descriptor(2, "standard error")
