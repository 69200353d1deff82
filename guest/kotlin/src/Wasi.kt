// The functions of WASI preview 1 that the SDK calls, and what it takes to call them from Kotlin: the memory that they
// read and write is not that of Kotlin's objects.

@file:OptIn(UnsafeWasmMemoryApi::class, ExperimentalWasmInterop::class)

package qyv

import kotlin.wasm.ExperimentalWasmInterop
import kotlin.wasm.WasmImport
import kotlin.wasm.unsafe.MemoryAllocator
import kotlin.wasm.unsafe.Pointer
import kotlin.wasm.unsafe.UnsafeWasmMemoryApi
import kotlin.wasm.unsafe.withScopedMemoryAllocator

private const val WASI = "wasi_snapshot_preview1"

@WasmImport(WASI, "args_sizes_get")
internal external fun argsSizesGet(count: Int, size: Int): Int

@WasmImport(WASI, "args_get")
internal external fun argsGet(pointers: Int, bytes: Int): Int

@WasmImport(WASI, "environ_sizes_get")
internal external fun environSizesGet(count: Int, size: Int): Int

@WasmImport(WASI, "environ_get")
internal external fun environGet(pointers: Int, bytes: Int): Int

@WasmImport(WASI, "proc_exit")
internal external fun procExit(code: Int)

@WasmImport(WASI, "random_get")
internal external fun randomGet(buffer: Int, size: Int): Int

@WasmImport(WASI, "clock_time_get")
internal external fun clockTimeGet(clock: Int, precision: Long, time: Int): Int

@WasmImport(WASI, "poll_oneoff")
internal external fun pollOneoff(subscriptions: Int, events: Int, count: Int, happened: Int): Int

@WasmImport(WASI, "fd_prestat_get")
internal external fun fdPrestatGet(fd: Int, prestat: Int): Int

@WasmImport(WASI, "fd_prestat_dir_name")
internal external fun fdPrestatDirName(fd: Int, path: Int, size: Int): Int

@WasmImport(WASI, "fd_read")
internal external fun fdRead(fd: Int, buffers: Int, count: Int, read: Int): Int

@WasmImport(WASI, "fd_write")
internal external fun fdWrite(fd: Int, buffers: Int, count: Int, written: Int): Int

@WasmImport(WASI, "fd_seek")
internal external fun fdSeek(fd: Int, offset: Long, whence: Int, position: Int): Int

@WasmImport(WASI, "fd_sync")
internal external fun fdSync(fd: Int): Int

@WasmImport(WASI, "fd_close")
internal external fun fdClose(fd: Int): Int

@WasmImport(WASI, "fd_readdir")
internal external fun fdReaddir(fd: Int, buffer: Int, size: Int, cookie: Long, used: Int): Int

@WasmImport(WASI, "path_open")
internal external fun pathOpen(
    directory: Int, lookup: Int, path: Int, pathSize: Int, open: Int, rights: Long, inheriting: Long, flags: Int, fd: Int,
): Int

@WasmImport(WASI, "path_filestat_get")
internal external fun pathFilestatGet(directory: Int, lookup: Int, path: Int, pathSize: Int, stat: Int): Int

@WasmImport(WASI, "path_create_directory")
internal external fun pathCreateDirectory(directory: Int, path: Int, pathSize: Int): Int

@WasmImport(WASI, "path_remove_directory")
internal external fun pathRemoveDirectory(directory: Int, path: Int, pathSize: Int): Int

@WasmImport(WASI, "path_unlink_file")
internal external fun pathUnlinkFile(directory: Int, path: Int, pathSize: Int): Int

@WasmImport(WASI, "path_rename")
internal external fun pathRename(
    directory: Int, path: Int, pathSize: Int, toDirectory: Int, toPath: Int, toPathSize: Int,
): Int

@WasmImport(WASI, "sock_accept")
internal external fun sockAccept(fd: Int, flags: Int, connection: Int): Int

/** Memory that WASI sees, for as long as [block] runs. */
internal inline fun <T> scratch(block: Scratch.() -> T): T =
    withScopedMemoryAllocator { allocator -> Scratch(allocator).block() }

/** What is put into the memory that WASI sees, and taken out of it. Addresses are those of that memory. */
internal class Scratch(private val allocator: MemoryAllocator) {
    fun room(size: Int): Int = allocator.allocate(maxOf(size, 8)).address.toInt()

    fun put(bytes: ByteArray, from: Int = 0, size: Int = bytes.size): Int {
        val at = room(size)
        var done = 0
        // Eight bytes at a time: byte by byte, a large file takes a second.
        while (done + 8 <= size) {
            var word = 0L
            for (i in 7 downTo 0) word = (word shl 8) or (bytes[from + done + i].toLong() and 0xff)
            pointer(at + done).storeLong(word)
            done += 8
        }
        while (done < size) {
            pointer(at + done).storeByte(bytes[from + done])
            done++
        }
        return at
    }

    fun bytes(at: Int, size: Int): ByteArray = ByteArray(size).also { copy(at, it, 0, size) }

    fun copy(at: Int, into: ByteArray, from: Int, size: Int) {
        var done = 0
        while (done + 8 <= size) {
            var word = pointer(at + done).loadLong()
            for (i in 0 until 8) {
                into[from + done + i] = word.toByte()
                word = word ushr 8
            }
            done += 8
        }
        while (done < size) {
            into[from + done] = pointer(at + done).loadByte()
            done++
        }
    }

    /** Text up to the byte 0. */
    fun text(at: Int): String {
        var end = at
        while (pointer(end).loadByte() != 0.toByte()) end++
        return bytes(at, end - at).decodeToString()
    }

    fun byte(at: Int): Int = pointer(at).loadByte().toInt() and 0xff

    fun int(at: Int): Int = pointer(at).loadInt()

    fun long(at: Int): Long = pointer(at).loadLong()

    fun setInt(at: Int, value: Int) = pointer(at).storeInt(value)

    fun setLong(at: Int, value: Long) = pointer(at).storeLong(value)

    private fun pointer(at: Int) = Pointer(at.toUInt())
}
