import qyv.*

fun files(given: Given) {
    val folder = "/data/${given.nonce}"
    createDirectory(folder)
    writeText("$folder/a", "one\n", Writing.CREATE)
    println("files created")
    writeText("$folder/a", "two\n", Writing.APPEND)
    println("files appended ${readBytes("$folder/a").size}")
    rename("$folder/a", "$folder/b")
    println("files renamed")
    writeBytes("$folder/c", ByteArray(0))
    println("files listed ${list(folder).sorted().joinToString(" ")}")
    println("files read ${Fnv1a().add(readBytes("$folder/b"))}")
    removeFile("$folder/b")
    removeFile("$folder/c")
    removeDirectory(folder)
    println("files removed")
    println(if (exists(folder)) "files still there" else "files gone")
}

fun missing(given: Given) {
    val what = outcome("found") { openFile("/data/missing-${given.nonce}").close() }
    println("missing ${if (what == Reason.NOT_FOUND.name) "not-found" else "other"} ${given.nonce}")
}

fun readonly(given: Given) {
    fun refused(action: () -> Unit) = if (outcome("allowed", action) == "allowed") "allowed" else "refused"
    val writing = refused { openFile("/texts/fixed.txt", Writing.APPEND).close() }
    val creating = refused { openFile("/texts/new-${given.nonce}", Writing.CREATE).close() }
    val removing = refused { removeFile("/texts/fixed.txt") }
    println("readonly $writing $creating $removing")
    println("readonly read ${Fnv1a().add(readBytes("/texts/fixed.txt"))}")
}

fun big(given: Given) {
    val path = "/data/big-${given.nonce}"
    val generator = SplitMix64(given.seed)
    openFile(path, Writing.CREATE).use { file -> repeat(160) { file.write(generator.bytes(65536)) } }
    val hash = Fnv1a()
    var size = 0L
    openFile(path).use { file ->
        val piece = ByteArray(65536)
        while (true) {
            val read = file.read(piece)
            if (read == 0) break
            hash.add(piece, read)
            size += read
        }
    }
    removeFile(path)
    println("big $size $hash")
    println("big ${given.nonce}")
}

/** The reason why [action] fails, or [fine] when it does not. */
fun outcome(fine: String, action: () -> Unit): String = try {
    action()
    fine
} catch (failure: QyvException) {
    failure.reason.name
}
