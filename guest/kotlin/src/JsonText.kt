package qyv

/** Looks things up in a text of JSON that is known to be right: what the host says of a service. */
internal class JsonText(private val text: String) {
    /** The value of a field of this object: text without its quotes, anything else as it is written; null when there is none. */
    fun field(name: String): String? {
        val value = members().firstOrNull { it.first == name }?.second ?: return null
        return if (value.startsWith('"')) unquote(value) else value
    }

    /** The elements of the list in a field of this object. */
    fun elements(name: String): List<JsonText> =
        members().firstOrNull { it.first == name }?.second?.let { parts(it) }.orEmpty().map { JsonText(it) }

    private fun members(): List<Pair<String, String>> = parts(text).mapNotNull { part ->
        val end = stringEnd(part, part.indexOf('"').takeIf { it >= 0 } ?: return@mapNotNull null)
        val colon = part.indexOf(':', end)
        if (colon < 0) null else unquote(part.substring(0, end).trim()) to part.substring(colon + 1).trim()
    }

    /** What stands between the commas of the outermost object or list. */
    private fun parts(text: String): List<String> {
        val parts = mutableListOf<String>()
        var depth = 0
        var begin = 0
        var at = 0
        while (at < text.length) {
            when (text[at]) {
                '"' -> {
                    at = stringEnd(text, at)
                    continue
                }
                '{', '[' -> if (++depth == 1) begin = at + 1
                '}', ']' -> if (--depth == 0) parts += text.substring(begin, at)
                ',' -> if (depth == 1) {
                    parts += text.substring(begin, at)
                    begin = at + 1
                }
            }
            at++
        }
        return parts.map { it.trim() }.filter { it.isNotEmpty() }
    }

    /** The place after a string that begins at [at]. */
    private fun stringEnd(text: String, at: Int): Int {
        var end = at + 1
        while (end < text.length && text[end] != '"') end += if (text[end] == '\\') 2 else 1
        return minOf(end + 1, text.length)
    }

    private fun unquote(quoted: String): String = quoted.removeSurrounding("\"").replace("\\\"", "\"").replace("\\\\", "\\")
}
