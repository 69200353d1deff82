package qyv

/** The longest message, in bytes: 16 MiB. */
const val MESSAGE_MAX: Int = 16 * 1024 * 1024

/** How the messages of a service are told apart: what `proto` is in a manifest. */
enum class Framing {
    /** Each message is a line of UTF-8. */
    LINES,

    /** Each message is its length (unsigned LEB128), then so many bytes. */
    FRAMES,

    /** Bytes as they come: a message is what one read gives. */
    STREAM,
}

/** A message as it goes over a connection. */
internal fun Framing.pack(message: ByteArray, subject: String): ByteArray {
    if (message.size > MESSAGE_MAX) throw QyvException(subject, Reason.MESSAGE_TOO_LONG)
    return when (this) {
        Framing.STREAM -> message
        Framing.LINES -> {
            if (message.contains(NEWLINE)) throw QyvException(subject, Reason.MALFORMED)
            message + NEWLINE
        }
        Framing.FRAMES -> {
            val head = ArrayList<Byte>(4)
            var rest = message.size
            do {
                val more = rest > 0x7f
                head += ((rest and 0x7f) or (if (more) 0x80 else 0)).toByte()
                rest = rest ushr 7
            } while (more)
            head.toByteArray() + message
        }
    }
}

/** Finds messages in the bytes that came. */
internal class Unpacking(private val framing: Framing, private val subject: String) {
    private var bytes = ByteArray(4096)
    private var begin = 0
    private var end = 0

    /** How far a line was searched for its end already, so that a long one is not searched again for each piece of it. */
    private var searched = 0

    /** What has come and is no whole message yet. */
    val isEmpty: Boolean get() = begin == end

    fun add(more: ByteArray, size: Int) {
        if (end + size > bytes.size) {
            val held = end - begin
            val room = if (held + size > bytes.size / 2) ByteArray((held + size) * 2) else bytes
            bytes.copyInto(room, 0, begin, end)
            bytes = room
            searched -= begin
            begin = 0
            end = held
        }
        more.copyInto(bytes, end, 0, size)
        end += size
    }

    /** The next whole message; null when more bytes are needed. */
    fun next(): ByteArray? = when (framing) {
        Framing.STREAM -> if (isEmpty) null else take(end - begin, 0)
        Framing.LINES -> line()
        Framing.FRAMES -> frame()
    }

    /** What is left at the end: a last line may lack its newline, a frame may not lack its end. */
    fun last(): ByteArray? {
        if (isEmpty) return null
        if (framing != Framing.LINES) throw QyvException(subject, Reason.RESET)
        return take(end - begin, 0)
    }

    private fun line(): ByteArray? {
        var at = maxOf(searched, begin)
        while (at < end && bytes[at] != NEWLINE) at++
        searched = at
        if (at - begin > MESSAGE_MAX) throw QyvException(subject, Reason.MESSAGE_TOO_LONG)
        return if (at == end) null else take(at - begin, 1)
    }

    private fun frame(): ByteArray? {
        var size = 0L
        var at = begin
        while (true) {
            if (at == end) return null
            val byte = bytes[at].toInt()
            // The first bytes of a number hold its low bits. Five are enough for what is allowed, and more.
            if (at - begin == 4) throw QyvException(subject, Reason.MESSAGE_TOO_LONG)
            size = size or ((byte and 0x7f).toLong() shl (7 * (at - begin)))
            at++
            if (byte and 0x80 == 0) break
        }
        if (size > MESSAGE_MAX) throw QyvException(subject, Reason.MESSAGE_TOO_LONG)
        if (end - at < size) return null
        begin = at
        return take(size.toInt(), 0)
    }

    private fun take(size: Int, after: Int): ByteArray {
        val message = bytes.copyOfRange(begin, begin + size)
        begin += size + after
        searched = begin
        return message
    }
}

private const val NEWLINE: Byte = 10
