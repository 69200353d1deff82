package qyv

/**
 * Dials a service, `service://name` or `service://name/port`.
 *
 * How its messages are told apart is what the host says of it, unless [framing] says otherwise.
 *
 * @throws QyvException with [Reason.DENIED] when the manifest does not ask for it, or it was not granted.
 */
fun connect(address: String, framing: Framing? = null): Connection {
    val name = address.removePrefix("service://")
    return Connection(dial("/svc/$name"), framing ?: described(address, name))
}

/**
 * Finds a listening socket of this app by its name: a service of its manifest (`logger`, or `logger/9000` for the one of
 * several with this port), or an address of `net.listen` as it is written there.
 *
 * [framing] is what `proto` is in the manifest.
 */
fun listen(name: String, framing: Framing = Framing.LINES): Listener {
    val wanted = name.removePrefix("service://")
    val variables = environment()
    val numbers = variables["QYV_LISTEN_FDS"].orEmpty().split(',')
    val sockets = variables["QYV_LISTEN_NAMES"].orEmpty().split(',').zip(numbers)
    val number = sockets.firstOrNull { it.first == wanted }
        ?: sockets.firstOrNull { it.first.startsWith("$wanted/") && it.first.substringAfterLast('/').toUShortOrNull() != null }
    val fd = number?.second?.toIntOrNull() ?: throw QyvException(name, Reason.NOT_OFFERED)
    return Listener(fd, name, framing)
}

/** A listening socket. */
class Listener internal constructor(private val number: Int, private val name: String, private val framing: Framing) {
    /** Waits for somebody to connect. */
    fun accept(): Connection = scratch {
        val fd = room(8)
        check(name, sockAccept(number, 0, fd))
        Connection(Descriptor(int(fd), name), framing)
    }
}

/** Both ways to another app. [close] it when done. */
class Connection internal constructor(private val descriptor: Descriptor, val framing: Framing) : AutoCloseable {
    private val received = Unpacking(framing, descriptor.subject)
    private val piece = ByteArray(65536)

    /** Sends a message. A line may hold no newline. */
    fun send(message: ByteArray) = descriptor.write(framing.pack(message, descriptor.subject))

    /** Sends a message of text. */
    fun send(message: String) = send(message.encodeToByteArray())

    /** Waits for a message; null is the end. */
    fun receive(): ByteArray? {
        while (true) {
            received.next()?.let { return it }
            val read = descriptor.read(piece)
            if (read == 0) return received.last()
            received.add(piece, read)
        }
    }

    /** Waits for a message of text; null is the end. */
    fun receiveText(): String? = receive()?.let { message ->
        try {
            message.decodeToString(throwOnInvalidSequence = true)
        } catch (_: CharacterCodingException) {
            throw QyvException(descriptor.subject, Reason.MALFORMED)
        }
    }

    override fun close() = descriptor.close()
}

/**
 * The protocol that `/svc/<name>/.info` names: for the port that is dialled, or else that of the service.
 *
 * The description is one object in JSON, written by the host. Kotlin's library cannot read JSON, so only what is needed is
 * looked for, by [JsonText].
 */
private fun described(address: String, dialled: String): Framing {
    val name = dialled.substringBefore('/')
    val port = dialled.substringAfter('/', "").ifEmpty { null }
    val info = JsonText(readText("/svc/$name/.info"))
    val protocol = if (port == null) info.field("protocol") else info.elements("ports").firstOrNull { it.field("port") == port }?.field("protocol")
    return when (protocol) {
        "lines" -> Framing.LINES
        "frames" -> Framing.FRAMES
        "stream" -> Framing.STREAM
        else -> throw QyvException(address, Reason.NOT_FOUND)
    }
}
