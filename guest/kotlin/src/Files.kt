// Files: Kotlin's library for WASI has none. Paths are absolute, as the manifest names its mounts.

package qyv

/** How to open a file for writing. */
enum class Writing {
    /** From its beginning; what was in it is gone. It is made if need be. */
    REPLACE,

    /** At its end. It is made if need be. */
    APPEND,

    /** A new file: it may not exist yet. */
    CREATE,
}

/** Opens a file for reading. */
fun openFile(path: String): Descriptor = open(path, 0, RIGHT_READ or RIGHT_SEEK, 0)

/** Opens a file for writing. */
fun openFile(path: String, writing: Writing): Descriptor = when (writing) {
    Writing.REPLACE -> open(path, OPEN_CREATE or OPEN_TRUNCATE, RIGHT_WRITE or RIGHT_SEEK, 0)
    Writing.APPEND -> open(path, OPEN_CREATE, RIGHT_WRITE or RIGHT_SEEK, FLAG_APPEND)
    Writing.CREATE -> open(path, OPEN_CREATE or OPEN_EXCLUSIVE, RIGHT_WRITE or RIGHT_SEEK, 0)
}

/** Reads a whole file. */
fun readBytes(path: String): ByteArray = openFile(path).use { it.readAll() }

/** Reads a whole file of UTF-8. */
fun readText(path: String): String = readBytes(path).decodeToString()

/** Writes a whole file. */
fun writeBytes(path: String, bytes: ByteArray, writing: Writing = Writing.REPLACE) =
    openFile(path, writing).use { it.write(bytes) }

/** Writes a whole file of UTF-8. */
fun writeText(path: String, text: String, writing: Writing = Writing.REPLACE) =
    writeBytes(path, text.encodeToByteArray(), writing)

/** Whether there is something, a file or a directory. */
fun exists(path: String): Boolean = scratch {
    val place = place(path)
    val errno = pathFilestatGet(place.directory, FOLLOW, put(place.rest), place.rest.size, room(64))
    if (errno != Errno.NOENT) check(path, errno)
    errno == 0
}

/** Gives a file or directory another name; a file of that name is replaced. */
fun rename(from: String, to: String) = scratch {
    val old = place(from)
    val new = place(to)
    check(from, pathRename(old.directory, put(old.rest), old.rest.size, new.directory, put(new.rest), new.rest.size))
}

/** Removes a file. */
fun removeFile(path: String) = at(path, ::pathUnlinkFile)

/** Makes a directory. */
fun createDirectory(path: String) = at(path, ::pathCreateDirectory)

/** Removes a directory that is empty. */
fun removeDirectory(path: String) = at(path, ::pathRemoveDirectory)

/** The names in a directory, without `.` and `..`, in no particular order. */
fun list(path: String): List<String> = open(path, OPEN_DIRECTORY, RIGHT_LIST, 0).use { directory ->
    val names = mutableListOf<String>()
    var cookie = 0L
    var room = 4096
    while (true) {
        // An entry is its head of 24 bytes and its name; the last of a full buffer may be cut, and is asked for again.
        val (read, whole) = scratch {
            val at = room(room)
            val used = room(8)
            check(path, fdReaddir(directory.number, at, room, cookie, used))
            var done = 0
            var whole = 0
            while (done + 24 <= int(used)) {
                val size = int(at + done + 16)
                if (done + 24 + size > int(used)) break
                names += bytes(at + done + 24, size).decodeToString()
                cookie = long(at + done)
                done += 24 + size
                whole++
            }
            int(used) to whole
        }
        if (read < room) break
        if (whole == 0) room *= 2
    }
    names.filter { it != "." && it != ".." }
}

private const val FOLLOW = 1
private const val OPEN_CREATE = 1
private const val OPEN_DIRECTORY = 2
private const val OPEN_EXCLUSIVE = 4
private const val OPEN_TRUNCATE = 8
private const val FLAG_APPEND = 1
private const val RIGHT_READ = 1L shl 1
private const val RIGHT_SEEK = 1L shl 2
private const val RIGHT_WRITE = 1L shl 6
private const val RIGHT_LIST = 1L shl 14

/** Opens a service for both ways. */
internal fun dial(path: String): Descriptor = open(path, 0, RIGHT_READ or RIGHT_WRITE, 0)

private fun open(path: String, open: Int, rights: Long, flags: Int): Descriptor = scratch {
    val place = place(path)
    val fd = room(8)
    check(path, pathOpen(place.directory, FOLLOW, put(place.rest), place.rest.size, open, rights, 0, flags, fd))
    Descriptor(int(fd), path)
}

private fun at(path: String, call: (Int, Int, Int) -> Int) = scratch {
    val place = place(path)
    check(path, call(place.directory, put(place.rest), place.rest.size))
}

/** A preopened directory, and a path from it. */
private class Place(val directory: Int, val rest: ByteArray)

private class Preopen(val directory: Int, val path: String)

/** What is open from the start, the longest path first: it is the mount that a path lies in. */
private val preopens: List<Preopen> by lazy {
    generateSequence(3) { it + 1 }
        .map { fd ->
            scratch {
                val prestat = room(8)
                if (fdPrestatGet(fd, prestat) != 0) return@scratch null
                val size = int(prestat + 4)
                val name = room(size)
                check("preopens", fdPrestatDirName(fd, name, size))
                Preopen(fd, bytes(name, size).decodeToString().trim('/'))
            }
        }
        .takeWhile { it != null }
        .filterNotNull()
        .sortedByDescending { it.path.length }
        .toList()
}

private fun place(path: String): Place {
    val inner = path.trimStart('/')
    val mount = preopens.firstOrNull { it.path.isEmpty() || inner == it.path || inner.startsWith(it.path + "/") }
        ?: throw failure(path, Errno.NOENT)
    val rest = inner.removePrefix(mount.path).trimStart('/').ifEmpty { "." }
    return Place(mount.directory, rest.encodeToByteArray())
}
