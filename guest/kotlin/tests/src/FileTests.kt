package qyv

fun fileTests() {
    test("a directory of many names is listed whole") {
        createDirectory("/data/many")
        // Long names, so that they take several calls.
        val names = List(300) { "name-$it-".padEnd(120, 'x') }
        for (name in names) writeText("/data/many/$name", "")
        same(names.sorted(), list("/data/many").sorted())
        for (name in names) removeFile("/data/many/$name")
        removeDirectory("/data/many")
        same(false, exists("/data/many"))
    }
    test("failures have their reasons") {
        writeText("/data/a", "a")
        fails(Reason.EXISTS) { openFile("/data/a", Writing.CREATE) }
        fails(Reason.NOT_FOUND) { readText("/data/b") }
        fails(Reason.NOT_FOUND) { removeFile("/data/b") }
        fails(Reason.READ_ONLY) { writeText("/new", "") }
        fails(Reason.DENIED) { readText("/data/../../etc/passwd") }
        removeFile("/data/a")
    }
    test("what is read is what was written, from any place") {
        val bytes = ByteArray(200_003) { (it * 7).toByte() }
        openFile("/data/big", Writing.REPLACE).use { it.write(bytes); it.sync() }
        same(true, bytes.contentEquals(readBytes("/data/big")))
        openFile("/data/big").use {
            it.seek(199_999)
            same(bytes.drop(199_999), it.readAll().toList())
        }
        removeFile("/data/big")
    }
    test("nobody offers or may dial what the manifest does not name") {
        fails(Reason.NOT_OFFERED) { listen("words") }
        fails(Reason.DENIED) { connect("service://logger") }
    }
}
