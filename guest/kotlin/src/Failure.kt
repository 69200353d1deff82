package qyv

/** Why a call failed: what a program may want to tell apart. */
enum class Reason {
    /** Not granted, or not permitted. */
    DENIED,

    /** There is no such file, or nobody offers the service. */
    NOT_FOUND,

    /** It is there already. */
    EXISTS,

    /** The file system may only be read. */
    READ_ONLY,

    /** The service is down, or too many wait to be accepted. */
    DOWN,

    /** The other side died. */
    RESET,

    /** The grant was revoked. */
    REVOKED,

    /** The other side receives no more, or the connection was closed here. */
    CLOSED,

    /** A message is longer than [MESSAGE_MAX]. */
    MESSAGE_TOO_LONG,

    /** What came is not a message of the service's protocol. */
    MALFORMED,

    /** The app offers no such service. */
    NOT_OFFERED,

    /** Anything else: the text says the number of the error. */
    OTHER,
}

/** A call failed. [subject] is the path or service, [reason] why; [errno] the number in WASI preview 1, 0 when it was found here. */
class QyvException(val subject: String, val reason: Reason, val errno: Int = 0) :
    Exception("$subject: ${explain(reason, errno)}")

private fun explain(reason: Reason, errno: Int): String = when (reason) {
    Reason.DENIED -> "not permitted"
    Reason.NOT_FOUND -> "no such file or service"
    Reason.EXISTS -> "it exists already"
    Reason.READ_ONLY -> "the file system may only be read"
    Reason.DOWN -> "nobody answers"
    Reason.RESET -> "the other side died"
    Reason.REVOKED -> "the grant was revoked"
    Reason.CLOSED -> "the connection is closed"
    Reason.MESSAGE_TOO_LONG -> "a message is longer than $MESSAGE_MAX bytes"
    Reason.MALFORMED -> "what came is not a message"
    Reason.NOT_OFFERED -> "the manifest offers no such service"
    Reason.OTHER -> "error $errno of WASI"
}

/** Numbers of WASI preview 1. */
internal object Errno {
    const val ACCES = 2
    const val AGAIN = 6
    const val BADF = 8
    const val CONNABORTED = 13
    const val CONNREFUSED = 14
    const val CONNRESET = 15
    const val EXIST = 20
    const val NOENT = 44
    const val PERM = 63
    const val PIPE = 64
    const val ROFS = 69
    const val NOTCAPABLE = 76
}

internal fun failure(subject: String, errno: Int): QyvException = QyvException(
    subject,
    when (errno) {
        Errno.ACCES, Errno.PERM, Errno.NOTCAPABLE -> Reason.DENIED
        Errno.NOENT -> Reason.NOT_FOUND
        Errno.EXIST -> Reason.EXISTS
        Errno.ROFS -> Reason.READ_ONLY
        Errno.CONNREFUSED -> Reason.DOWN
        Errno.CONNRESET -> Reason.RESET
        Errno.CONNABORTED -> Reason.REVOKED
        Errno.PIPE -> Reason.CLOSED
        else -> Reason.OTHER
    },
    errno,
)

/** Throws unless a call of WASI succeeded. */
internal fun check(subject: String, errno: Int) {
    if (errno != 0) throw failure(subject, errno)
}
