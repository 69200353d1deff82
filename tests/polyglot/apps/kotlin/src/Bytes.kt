/** A generator whose state is the seed (Steele, Lea and Flood, 2014). */
class SplitMix64(seed: ULong) {
    private var state = seed

    fun next(): ULong {
        state += 0x9e3779b97f4a7c15uL
        var z = state
        z = (z xor (z shr 30)) * 0xbf58476d1ce4e5b9uL
        z = (z xor (z shr 27)) * 0x94d049bb133111ebuL
        return z xor (z shr 31)
    }

    /** The next [size] bytes, a multiple of 8 unless they are the last. */
    fun bytes(size: Int): ByteArray {
        val bytes = ByteArray(size)
        var at = 0
        while (at < size) {
            var word = next().toLong()
            for (i in at until minOf(at + 8, size)) {
                bytes[i] = word.toByte()
                word = word ushr 8
            }
            at += 8
        }
        return bytes
    }
}

/** FNV-1a of 64 bits, of bytes that come in pieces. */
class Fnv1a {
    private var hash = 0xcbf29ce484222325uL

    fun add(bytes: ByteArray, size: Int = bytes.size): Fnv1a {
        for (i in 0 until size) hash = (hash xor bytes[i].toUByte().toULong()) * 0x100000001b3uL
        return this
    }

    override fun toString(): String = hash.toString(16).padStart(16, '0')
}
